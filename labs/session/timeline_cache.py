"""The time lines of attempts, from the records. Those shown last are kept: what is done does not change any more."""

from __future__ import annotations

import threading
from collections import OrderedDict

from sqlalchemy import select

from labs.errors import NotFound
from labs.records.database import Database
from labs.records.models import Attempt, CheckRecord
from labs.session.timeline import Timeline, timelines

KEPT = 64
"""Attempts; some 50 kB each."""


class TimelineCache:
    """Those of one installation. Safe to use from several threads."""

    def __init__(self, records: Database) -> None:
        self._records = records
        self._kept: OrderedDict[tuple[str, str], dict[str, Timeline]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, attempt: str, learner: str) -> dict[str, Timeline]:
        """By the name of the check, as far as there is something to tell; empty until the attempt is done. ``NotFound``
        when it is not the learner's."""
        key = (attempt, learner)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with self._records.read() as tx:
            row = tx.get(Attempt, attempt)
            if row is None or row.user.name != learner:
                raise NotFound("there is no such attempt")
            if row.state != "done":
                return {}
            found = select(CheckRecord.name, CheckRecord.evidence).where(CheckRecord.attempt_id == attempt)
            made = timelines((name, evidence) for name, evidence in tx.execute(found))
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made
