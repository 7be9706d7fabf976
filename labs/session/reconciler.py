"""Brings one session to its desired state, under its lock.

Level-triggered: what to do next is read from the rows every time, so that it does not matter who began it.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from labs.access import AccessRules
from labs.clusters.provider import (
    CapabilityMissing,
    ClusterError,
    ClusterSpec,
    ClusterState,
    CreateCancelled,
    ProviderUnavailable,
)
from labs.clusters.registry import Providers
from labs.errors import KindlingError, Unavailable
from labs.library import Library
from labs.locks import Locks
from labs.records.database import Database
from labs.records.models import Attempt, Session, SessionStep
from labs.session.grading import Grading
from labs.session.progress import Recorder
from labs.session.queue import GradingQueue

log = logging.getLogger(__name__)

AWAY = "Your cluster does not answer at this moment. It comes back by itself, with everything in it."
KILLED = "the process that graded it ended before it had a verdict"
LEFT_SECONDS, LEFT_POLL = 45.0, 0.2  # for a grading process to put everything right after its session is gone


@dataclass
class Reconciler:
    """Brings sessions where they are wanted. ``closing`` is asked whether this process is about to end.

    ``kubeconfigs``: a folder per session, removed with its cluster.
    """

    records: Database
    labs: Library
    providers: Providers
    access: AccessRules
    grading: Grading
    queue: GradingQueue
    locks: Locks
    now: Callable[[], datetime]
    closing: Callable[[], bool]
    pause: Callable[[float], None]
    attempt_seconds: float
    kubeconfigs: Path

    def reconcile(self, session: str, notify: Callable[[], None], *, grade: bool) -> bool:
        """Do all that is wanted now; False when somebody else is at it. Attempts are graded only with ``grade``."""
        with self.locks.hold(session) as held:
            if not held:
                return False
            while not self.closing() and self._next(session, notify, grade=grade):
                pass
            return True

    def away(self, sessions: Iterable[str]) -> None:
        """Say of ready sessions that their clusters do not answer, until :meth:`observe` sees them again."""
        with self.records.begin() as tx:
            for session in sessions:
                row = tx.get(Session, session)
                if row is not None and row.state == "ready" and row.ended_at is None:
                    row.detail, row.fix = AWAY, ""

    def observe(self, session: str) -> None:
        """Look whether a ready session's cluster is still there, and say so when it is not."""
        with self.locks.hold(session) as held:
            if not held or not self._there(session):
                return
            row = self._row(session)
            if row.ended_at is not None or row.state != "ready":
                return
            try:
                status = self.providers.get(row.provider).status(row.handle)
            except (ClusterError, KindlingError) as error:
                self._note(session, row, str(error), error.fix)
                return
            if status.state is ClusterState.ABSENT:
                with self.records.begin() as tx:
                    found = tx.get_one(Session, session)
                    found.state, found.ready_at = "failed", None
                    found.detail, found.fix = "Its cluster is gone.", f"kindling start {row.lab}"
            else:
                trouble = "" if status.state is ClusterState.READY else status.detail or "Its cluster does not answer."
                self._note(session, row, trouble, "")

    def _note(self, session: str, row: Session, detail: str, fix: str) -> None:
        if (row.detail, row.fix) != (detail, fix):
            self._set(session, detail=detail, fix=fix)

    def _next(self, session: str, notify: Callable[[], None], *, grade: bool) -> bool:
        """Do one thing; False when there is nothing left that can be done."""
        if not self._there(session):
            return False
        row, attempt = self._row(session), self._undone(session)
        gone = row.ended_at is not None
        if row.desired == "ready" and not gone and self._withdrawn(row):
            return True
        wanted = row.desired == "ready" and row.state in ("ready", "provisioning") and not gone
        if attempt is not None and attempt.state == "running":
            return self._killed(attempt, notify, wanted=wanted, patient=grade)
        if attempt is not None and not wanted:
            self.grading.close(attempt.id, "the lab's cluster was gone")
            notify()
            return True
        if gone:  # perhaps given up for a new one, and still to be removed
            return row.state == "stopping" and self._remove(row, notify)
        if row.desired == "ready" and row.expires_at <= self.now() and attempt is None:
            self._set(session, desired="expired", state="stopping", detail="Its time is over.", fix="")
            return True
        if row.desired != "ready":
            return self._remove(row, notify)
        if row.state == "provisioning":
            self._bring(row, notify, reset=False)
        elif row.reset_wanted > row.reset_done and row.state != "failed":
            self._bring(row, notify, reset=True)
        elif attempt is not None and grade:
            self._grade(attempt, notify)
        else:
            return False
        return True

    def _grade(self, attempt: Attempt, notify: Callable[[], None]) -> None:
        """In its turn, unless it is wanted no more by then; whoever stops us while it waits takes it back."""

        def unwanted() -> bool:
            return self._unwanted(attempt.session_id)

        try:
            with self.queue.turn(attempt.id, unwanted, notify) as granted:
                if granted:
                    self.grading.run(attempt.id, notify, unwanted, self.attempt_seconds)
        except KeyboardInterrupt:
            self.grading.close(attempt.id, "interrupted")
            raise

    def _killed(self, attempt: Attempt, notify: Callable[[], None], *, wanted: bool, patient: bool) -> bool:
        """An attempt was interrupted, or whoever graded it is gone: have it graded again, or close it, when its grading
        process is gone as well."""
        looks = int(LEFT_SECONDS / LEFT_POLL) if patient else 0
        while self.grading.at_work(attempt.id):
            if looks == 0 or self.closing():
                break
            looks -= 1
            self.pause(LEFT_POLL)
        if self.grading.at_work(attempt.id) and (not patient or self.closing()):
            return False
        again = wanted and self.grading.again(
            attempt.id, notify, lambda: self._unwanted(attempt.session_id), patient=patient
        )
        if again is None:
            return patient  # it is wanted no more: see what is
        if not again:
            self.grading.close(attempt.id, KILLED)
        notify()
        return True

    def _unwanted(self, session: str) -> bool:
        return self.closing() or self._row(session).desired != "ready"

    def _withdrawn(self, row: Session) -> bool:
        """Whether its learner may not work in it any more: then it is not brought up, adopted or graded but stopped."""
        with self.records.read() as tx:
            why = self.access.withdrawn(tx, row)
        if why:
            self._set(row.id, desired="stopped", state="stopping", detail=why, fix="")
        return bool(why)

    def _bring(self, row: Session, notify: Callable[[], None], *, reset: bool) -> None:
        """Create, or return to, the starting state."""
        progress = Recorder(self.records, row.id, self.now, notify)
        try:
            provider, spec = self.providers.get(row.provider), self._spec(row)
            handle = provider.reset(row.handle, spec, progress) if reset else provider.create(spec, progress)
        except CreateCancelled:
            self._set(row.id, state="stopping")
        except Unavailable:
            raise  # the records are in the way, not the cluster: it is tried again from where it was
        except (ClusterError, KindlingError) as error:
            log.warning("session %s of %s: %s", row.id, row.lab, error)
            done = {"reset_done": row.reset_wanted} if reset else {}
            self._set(row.id, state="failed", detail=self._with_offer(row, error), fix=error.fix, **done)
        except Exception as error:  # a fault of a provider must not leave a session "starting" for ever
            log.exception("session %s of %s", row.id, row.lab)
            self._set(row.id, state="failed", detail=f"Unexpected trouble: {error}", fix=f"kindling start {row.lab}")
        else:
            collateral = self.labs.get(row.lab).file.collateral
            self._ready(row, handle, self.grading.beginning(row.provider, handle) if collateral else None)
        notify()

    def _with_offer(self, row: Session, error: Exception) -> str:
        """What went wrong, and where else the lab could run when its provider lacks something on this machine."""
        if not isinstance(error, ProviderUnavailable | CapabilityMissing):
            return str(error)
        needs = self.labs.get(row.lab).needs
        with self.records.read() as tx:
            instead = self.providers.instead(
                row.provider, needs, row.lab, lambda name: self.access.may(tx, row.user, name)
            )
        return str(error).rstrip(".") + instead

    def _ready(self, row: Session, handle: dict[str, Any], beginning: dict[str, Any] | None) -> None:
        now = self.now()
        with self.records.begin() as tx:
            found = tx.get_one(Session, row.id)
            found.handle, found.beginning = handle, beginning
            if found.desired == "ready":  # else it stays as whoever stopped it meanwhile left it
                found.state, found.detail, found.fix = "ready", "", ""
            found.ready_at = found.ready_at or now
            found.reset_done = row.reset_wanted
            for step in tx.scalars(select(SessionStep).where(SessionStep.session_id == row.id)):
                step.started_at = step.started_at or now
                step.finished_at = step.finished_at or now

    def _spec(self, row: Session) -> ClusterSpec:
        labels = {"session": row.id, "learner": row.user.name, "lab": row.lab}
        return self.labs.get(row.lab).spec(row.cluster, row.parameters, labels)

    def _remove(self, row: Session, notify: Callable[[], None]) -> bool:
        self._set(row.id, state="stopping")
        notify()
        try:
            self.providers.get(row.provider).delete(row.handle)
        except Exception as error:  # whatever is in the way: said, logged and tried again later
            log.warning("removing session %s of %s: %s", row.id, row.lab, error, exc_info=True)
            detail = f"Its cluster could not be removed: {error}. This is tried again."
            state = "failed" if row.ended_at is None else "stopping"
            self._set(row.id, state=state, detail=detail, fix=getattr(error, "fix", ""))
            notify()
            return False
        end = "expired" if row.desired == "expired" else "stopped"
        self._set(row.id, state=end, ended_at=row.ended_at or self.now())
        shutil.rmtree(self.kubeconfigs / row.id, ignore_errors=True)
        self.locks.forget(row.id)
        notify()
        return True

    def _there(self, session: str) -> bool:
        """Whether there is still a row: what has ended goes with its account."""
        with self.records.read() as tx:
            return tx.get(Session, session) is not None

    def _row(self, session: str) -> Session:
        with self.records.read() as tx:
            row = tx.get_one(Session, session)
            assert row.user is not None  # loaded here, to be read after the transaction
            return row

    def _undone(self, session: str) -> Attempt | None:
        with self.records.read() as tx:
            return tx.scalar(select(Attempt).where(Attempt.session_id == session, Attempt.state != "done"))

    def _set(self, session: str, **fields: Any) -> None:
        with self.records.begin() as tx:
            row = tx.get_one(Session, session)
            for name, value in fields.items():
                setattr(row, name, value)
