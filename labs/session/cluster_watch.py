"""The site's looks at clusters that are to be there: a look also brings back what has ended.

At every ready one now and then; at once at those whose program has ended, of which one cheap look a provider says so.
Refuses to try again at once, or for each of many clusters, what could not be brought back: that is for the next time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select

from labs.clusters.provider import Watched
from labs.clusters.registry import Providers
from labs.errors import KindlingError
from labs.locks import Locks
from labs.records.database import Database
from labs.records.models import Session
from labs.session.reconciler import Reconciler

LOOK_EVERY = timedelta(seconds=30)  # between two looks at every ready cluster


@dataclass
class ClusterWatch:
    """Kept by the one process that drives sessions."""

    records: Database
    providers: Providers
    locks: Locks
    reconciler: Reconciler
    now: Callable[[], datetime]
    _looked: datetime | None = None
    _ended: set[str] = field(default_factory=set)
    """Providers whose program had ended at the last look."""

    def look(self) -> None:
        """To be called every few seconds."""
        ready = self._ready()
        ended = {provider for provider in {provider for _, provider in ready} if self._has_ended(provider)}
        fresh, self._ended = ended - self._ended, ended
        if fresh:
            self.reconciler.away(session for session, provider in ready if provider in fresh)
        every = self._looked is None or self.now() - self._looked >= LOOK_EVERY
        if every:
            self._looked = self.now()
        in_vain: set[str] = set()
        for session, provider in ready:
            if provider not in in_vain and (every or provider in fresh):
                self.reconciler.observe(session)
                if provider in ended and self._has_ended(provider):
                    in_vain.add(provider)

    def _ready(self) -> list[tuple[str, str]]:
        """Sessions that nobody works on, and their providers."""
        live = select(Session.id, Session.provider).where(Session.ended_at.is_(None), Session.state == "ready")
        with self.records.read() as tx:
            return [(session, provider) for session, provider in tx.execute(live) if not self.locks.held(session)]

    def _has_ended(self, provider: str) -> bool:
        try:
            found = self.providers.get(provider)
        except KindlingError:  # it is offered no more
            return False
        return isinstance(found, Watched) and not found.runs()
