"""Writes down a provider's steps as they happen, and stops it when nobody wants its cluster any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import delete, select

from labs.clusters.provider import CreateCancelled
from labs.records.database import Database
from labs.records.models import Session, SessionStep


class Recorder:
    """A :class:`labs.clusters.provider.Progress` of one session. A repeated ``step`` only asks whether to go on."""

    def __init__(self, records: Database, session: str, now: Callable[[], datetime], told: Callable[[], None]) -> None:
        self._records, self._session, self._now, self._told = records, session, now, told
        self._positions: dict[str, int] = {}
        self._running: set[str] = set()

    def plan(self, steps: Sequence[str]) -> None:
        """The whole work, all of it still waiting."""
        with self._records.begin() as tx:
            self._ask(tx.execute(select(Session.desired).where(Session.id == self._session)).scalar_one())
            tx.execute(delete(SessionStep).where(SessionStep.session_id == self._session))
            self._positions = {name: position for position, name in reversed(list(enumerate(steps)))}
            tx.add_all(
                SessionStep(session_id=self._session, position=position, name=name[:200])
                for position, name in enumerate(steps)
            )
        self._running.clear()
        self._told()

    def step(self, name: str, *, done: bool) -> None:
        """A step begins or ends."""
        with self._records.begin() as tx:
            self._ask(tx.execute(select(Session.desired).where(Session.id == self._session)).scalar_one())
            if not done and name in self._running:
                return
            position = self._positions.setdefault(name, len(self._positions))
            row = tx.get(SessionStep, (self._session, position))
            if row is None:
                row = SessionStep(session_id=self._session, position=position, name=name[:200])
                tx.add(row)
            now = self._now()
            row.started_at = row.started_at or now
            row.finished_at = now if done else None
        (self._running.discard if done else self._running.add)(name)
        self._told()

    def _ask(self, desired: str) -> None:
        if desired != "ready":
            raise CreateCancelled("the lab was stopped while its cluster was being made")
