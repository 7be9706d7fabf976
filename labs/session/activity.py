"""What learners do, which counts as time spent and delays expiry.

What changes something anyhow writes it down with the change. What only reads (a page, kubectl) leaves a note here that
is written down a moment later: nobody waits for a writer to read something. Refuses to let anybody wait for these
notes, or to lose more of them than a killed process had of its last seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from labs.errors import Unavailable
from labs.records.database import Database
from labs.records.models import Session, User
from labs.session.queries import live, note

GRACE = timedelta(minutes=30)  # who works is not thrown out: the least time left after doing something
MOST = 5000  # notes that one process keeps; the oldest are forgotten beyond that
PATIENCE = 1.0  # seconds that writing notes waits for other writers
_Note = tuple[str, str, str]  # learner, lab, kind


@dataclass
class Activities:
    """Activity of learners. ``longest``: the time that a session may be left at most."""

    records: Database
    longest: timedelta
    now: Callable[[], datetime]
    _noted: dict[_Note, datetime] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, tx: Transaction, row: Session, kind: str, at: datetime | None = None) -> None:
        """Write down what was done in a session, ``at`` a moment (default: now); whoever works keeps it for a while."""
        at = at or self.now()
        note(tx, row.user_id, row.lab, kind, at)
        if row.expires_at > at:
            row.expires_at = max(row.expires_at, at + min(GRACE, self.longest))

    def note(self, learner: str, lab: str, kind: str) -> None:
        """Remember that a learner did something (``page``, ``kubectl``...), for :meth:`write`."""
        with self._lock:
            self._noted.pop((learner, lab, kind), None)
            self._noted[learner, lab, kind] = self.now()
            if len(self._noted) > MOST:
                del self._noted[next(iter(self._noted))]

    def __len__(self) -> int:
        """How many notes wait to be written down."""
        return len(self._noted)

    def write(self) -> None:
        """Write down all notes. ``Unavailable`` when that cannot be now; they are kept for the next time."""
        with self._lock:
            noted, self._noted = self._noted, {}
        if not noted:
            return
        try:
            with self.records.begin(patience=PATIENCE) as tx:
                for (learner, lab, kind), at in noted.items():
                    self._put(tx, learner, lab, kind, at)
        except Unavailable:
            with self._lock:
                self._noted = {**noted, **self._noted}
            raise

    def _put(self, tx: Transaction, learner: str, lab: str, kind: str, at: datetime) -> None:
        user = tx.scalar(select(User).where(User.name == learner))
        if user is None:  # gone meanwhile
            return
        row = live(tx, user, lab)
        if row is not None:
            self.record(tx, row, kind, at)
        else:
            note(tx, user.id, lab, kind, at)
