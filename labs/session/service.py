"""The session service: what the command and the site call.

A call that wants something records it and returns; :meth:`SessionService.wait`, :meth:`SessionService.follow` and
:meth:`SessionService.wake` do the work, or watch whoever does. It refuses whatever is not the learner's own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Transaction

from labs import ballast
from labs.access import AccessRules
from labs.clusters.provider import ClusterError, ClusterGone, Controllable, Controls, Needs
from labs.clusters.registry import Providers
from labs.definition import Lab
from labs.errors import KindlingError, NotFound, NotNow, NotPossible, Unavailable
from labs.library import Library
from labs.locks import Locks
from labs.parameters import seed_of
from labs.records.database import Database
from labs.records.models import Attempt, HintTaken, Session
from labs.removal.forget import forget, forgettable
from labs.session.activity import Activities
from labs.session.background import POLL, Background
from labs.session.change_notifier import ChangeNotifier
from labs.session.cluster_watch import ClusterWatch
from labs.session.creation import give_up, new_attempt, new_session
from labs.session.grader import Grader
from labs.session.grading import Grading
from labs.session.jumps import ClockJumps, boot_id
from labs.session.kubeconfig import in_namespace
from labs.session.presenters import attempt_view, session_view
from labs.session.queries import (
    best,
    due,
    hints_taken,
    last,
    live,
    must_be_ready,
    next_check,
    note,
    own,
    passed_checks,
    user_of,
)
from labs.session.queue import GradingQueue
from labs.session.reconciler import Reconciler
from labs.session.stamps import Stamp, Subject, stamps
from labs.session.timeline import Timeline
from labs.session.timeline_cache import TimelineCache
from labs.session.views import AttemptView, HintView, SessionView
from labs.settings import Settings

log = logging.getLogger(__name__)

SHORTEST = timedelta(hours=1)
FACTOR = 4  # a lab is kept this many times as long as a learner needs for it


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


@dataclass
class SessionService:
    """Every call checks that ``learner`` (an account's name) owns what it names, else :class:`labs.errors.NotFound`.

    Trouble is a :class:`labs.errors.KindlingError` with a sentence and, where there is one, the command that mends it.
    """

    settings: Settings
    records: Database
    labs: Library
    providers: Providers
    access: AccessRules
    grader: Grader
    now: Callable[[], datetime] = utc_now
    pause: Callable[[float], None] = time.sleep
    ticks: Callable[[], float] = time.monotonic
    tell: Callable[[str], None] | None = None
    """Tells another process that something is wanted of a session, where one drives them in place of this one."""

    def __post_init__(self) -> None:
        self._locks = Locks(self.settings.locks)
        file = self.settings.home / "clock.json"
        self._jumps = ClockJumps(self.records, file, self._locks, self.now, self.ticks, boot_id)
        self._activities = Activities(self.records, timedelta(hours=self.settings.session_hours), self.now)
        marks = Locks(self.settings.marks)
        grading = Grading(self.records, self.labs, self.providers, self.grader, marks, self.now, self.pause)
        places, graders = self.settings.graders, Locks(self.settings.grader_locks)
        self._queue = GradingQueue(self.records, self._locks, graders, places, self.pause)
        self._background = Background(
            lambda session: self._reconciler.reconcile(session, _nothing, grade=True), self.pause
        )
        self._reconciler = Reconciler(
            self.records,
            self.labs,
            self.providers,
            self.access,
            grading,
            self._queue,
            self._locks,
            self.now,
            self._background.closing,
            self.pause,
            self.settings.attempt_seconds,
            self.settings.sessions,
        )
        self._timelines = TimelineCache(self.records)
        self._watch = ClusterWatch(self.records, self.providers, self._locks, self._reconciler, self.now)

    # What a learner asks for

    def start(self, learner: str, lab: str, provider: str | None = None) -> SessionView:
        """Ask for a lab; the session that is already there, if any. ``NotFound``, ``NotPossible``, ``NotNow``, and
        ``Refused`` for a provider that is not open to this learner."""
        current = self.current(learner, lab)
        if current is not None and current.state == "ready":
            self._reconciler.observe(current.id)
            current = self.view(current.id, learner)
        if current is not None and current.live and not self._given_up(current, provider):
            return self._again(current)
        found = self.labs.get(lab)
        name = self._chosen(learner, found, provider)
        seed = seed_of(learner, lab)
        parameters = found.parameters_for(seed)
        found.setup(parameters)  # a malformed manifest is said now, not when a cluster is half made
        now = self.now()
        try:
            with self.records.begin() as tx:
                if current is not None and current.live:
                    give_up(tx.get_one(Session, current.id), now)
                    tx.flush()
                user = user_of(tx, learner)
                self.access.require(tx, user, name, lab, found.needs)
                self.access.require_room(tx, user, name, lab, found.needs)
                row = new_session(tx, user, found, name, seed, parameters, now, now + self._lifetime(found.minutes))
                note(tx, row.user_id, lab, "start", now)
        except IntegrityError:  # started at the same moment by somebody else
            current = self.current(learner, lab)
            if current is None:
                raise
            return self._again(current)
        return self.view(row.id, learner)

    def open_to(self, learner: str) -> list[str]:
        """The providers that a learner may use."""
        with self.records.read() as tx:
            user = user_of(tx, learner)
            return [name for name in self.providers.names() if self.access.may(tx, user, name)]

    def current(self, learner: str, lab: str) -> SessionView | None:
        """The live session of a lab, if there is one."""
        with self.records.read() as tx:
            user = user_of(tx, learner)
            row = live(tx, user, lab)
            return None if row is None else self._view(tx, row)

    def view(self, session: str, learner: str) -> SessionView:
        """One session."""
        with self.records.read() as tx:
            return self._view(tx, own(tx, session, learner))

    def observe(self, session: str, learner: str) -> SessionView:
        """Look whether a ready session's cluster is still there, and say so when it is not."""
        self.view(session, learner)
        self._reconciler.observe(session)
        return self.view(session, learner)

    def last(self, learner: str, lab: str) -> SessionView | None:
        """The live session of a lab, else the one that ended last."""
        with self.records.read() as tx:
            row = last(tx, user_of(tx, learner), lab)
            return None if row is None else self._view(tx, row)

    def all(self, learner: str) -> list[SessionView]:
        """Every session, newest first."""
        with self.records.read() as tx:
            user = user_of(tx, learner)
            rows = tx.scalars(select(Session).where(Session.user_id == user.id).order_by(Session.created_at.desc()))
            return [self._view(tx, row) for row in rows]

    def kubeconfig(self, session: str, learner: str) -> str:
        """The learner's kubeconfig (YAML). ``NotNow`` unless ready."""
        with self.records.read() as tx:
            row = own(tx, session, learner)
        must_be_ready(row)
        try:
            config = self.providers.get(row.provider).credentials(row.handle, "learner")
        except ClusterGone as error:
            raise NotNow("its cluster is gone", f"kindling start {row.lab}") from error
        except ClusterError as error:
            raise NotNow(str(error), error.fix) from error
        return in_namespace(config, self.labs.get(row.lab).namespace)

    def controls(self, session: str, learner: str) -> Controls:
        """The clock, components and trace of a simulated lab. ``NotNow`` unless ready; ``NotPossible`` elsewhere."""
        with self.records.read() as tx:
            row = own(tx, session, learner)
        must_be_ready(row)
        provider = self.providers.get(row.provider)
        if not isinstance(provider, Controllable):
            why = f"{row.lab} runs on {row.provider}, a real cluster: only a simulated one can do that"
            raise NotPossible(why, f"kindling stop {row.lab} && kindling start {row.lab} --on simulated")
        return provider.controls(row.handle)

    def reset(self, session: str, learner: str) -> SessionView:
        """Ask for the lab's starting state. ``NotNow`` unless ready or failed."""
        ballast.give_up(self.settings.home)
        with self.records.begin() as tx:
            row = own(tx, session, learner)
            if row.state not in ("ready", "failed", "resetting") or row.desired != "ready":
                raise NotNow(f"{row.lab} cannot be reset while it is {row.state}", f"kindling start {row.lab}")
            self.access.require(tx, row.user, row.provider, row.lab, self._needs(row.lab))
            if tx.scalar(select(Attempt.id).where(Attempt.session_id == session, Attempt.state != "done")):
                raise NotNow(f"{row.lab} is being checked; reset it when that is done", f"kindling check {row.lab}")
            if row.state == "failed" and row.ready_at is None:
                row.state = "provisioning"
            elif row.state != "resetting":
                row.reset_wanted += 1
                row.state = "resetting"
            row.detail = row.fix = ""
            row.steps.clear()
            self._activities.record(tx, row, "reset")
            return self._view(tx, row)

    def stop(self, session: str, learner: str) -> SessionView:
        """Ask for the cluster to be removed; also while it is starting. Stopping twice is fine."""
        ballast.give_up(self.settings.home)
        with self.records.begin() as tx:
            row = own(tx, session, learner)
            if row.ended_at is None and row.desired == "ready":
                row.desired, row.state, row.detail, row.fix = "stopped", "stopping", "", ""
                note(tx, row.user_id, row.lab, "stop", self.now())
            return self._view(tx, row)

    def extend(self, session: str, learner: str) -> SessionView:
        """Move the expiry to the full time from now. ``NotNow`` once it has ended."""
        with self.records.begin() as tx:
            row = own(tx, session, learner)
            if row.ended_at is not None or row.desired != "ready":
                raise NotNow(f"{row.lab} has ended", f"kindling start {row.lab}")
            row.expires_at = max(row.expires_at, self.now() + self._lifetime(self._minutes(row.lab)))
            return self._view(tx, row)

    def hint(self, session: str, learner: str, check: str | None = None) -> HintView:
        """The next hint of a check (default: of the first check not yet passed that has one left).

        When all of a check's are taken, its last one again. ``NotFound`` when there is no hint.
        """
        with self.records.begin() as tx:
            row = own(tx, session, learner)
            lab = self.labs.get(row.lab)
            taken = hints_taken(tx, session)
            name = check or next_check(lab, passed_checks(tx, session), taken)
            hints = lab.hints(name, row.parameters) if name else []
            if not name or not hints:
                known = ", ".join(info.name for info in lab.checks if info.name in lab.file.hints) or "none"
                raise NotFound(f"there is no hint for {check or row.lab}; checks with hints: {known}")
            number = min(taken.get(name, 0) + 1, len(hints))
            new = number > taken.get(name, 0)
            if new:
                tx.add(HintTaken(session_id=session, check=name, number=number, taken_at=self.now()))
            self._activities.record(tx, row, "hint")
        title = next((info.title for info in lab.checks if info.name == name), name)
        return HintView(name, title, number, len(hints), hints[number - 1], number < len(hints), new)

    def active(self, learner: str, lab: str, kind: str) -> None:
        """Note that a learner did something (``page``, ``kubectl``...): it counts as time spent and delays expiry.

        It is written down by :meth:`write_activity`, which the site calls now and then, and at the end; nobody waits
        for it.
        """
        self._activities.note(learner, lab, kind)

    # Handing in

    def check(self, session: str, learner: str) -> AttemptView:
        """Hand in: record a wanted attempt. While one is not done, the same attempt is returned. ``NotNow``."""
        try:
            with self.records.begin() as tx:
                row = own(tx, session, learner)
                same = select(Attempt).where(Attempt.session_id == session, Attempt.state != "done")
                attempt = tx.scalar(same)
                if attempt is None:
                    must_be_ready(row)
                    attempt = new_attempt(tx, row, self.labs.get(row.lab), self.now())
                    self._activities.record(tx, row, "check")
                return self._attempt_view(tx, attempt)
        except IntegrityError:  # handed in at the same moment elsewhere
            with self.records.read() as tx:
                attempt = tx.scalars(same).one()
                return self._attempt_view(tx, attempt)

    def follow(self, attempt: str, learner: str, on_change: Callable[[AttemptView], None] | None = None) -> AttemptView:
        """Grade an attempt, or follow whoever does, to its end."""
        self._jumps.make_up()
        view = self.attempt(attempt, learner)
        notify = ChangeNotifier(on_change, lambda: self.attempt(attempt, learner))
        while view.state != "done":
            if not self._reconciler.reconcile(view.session, notify, grade=True):
                self.pause(POLL)
            notify()
            view = self.attempt(attempt, learner)
        return view

    def attempt(self, attempt: str, learner: str) -> AttemptView:
        """One attempt."""
        with self.records.read() as tx:
            row = tx.get(Attempt, attempt)
            if row is None or row.user.name != learner:
                raise NotFound("there is no such attempt")
            return self._attempt_view(tx, row)

    def attempts(self, learner: str, lab: str, most: int | None = None) -> list[AttemptView]:
        """The attempts at a lab, newest first; ``most``: no more than so many."""
        with self.records.read() as tx:
            user = user_of(tx, learner)
            mine = select(Attempt).where(Attempt.user_id == user.id, Attempt.lab == lab)
            rows = tx.scalars(mine.order_by(Attempt.number.desc()).limit(most))
            return [self._attempt_view(tx, row) for row in rows]

    def timelines(self, attempt: str, learner: str) -> dict[str, Timeline]:
        """What happened while each check of an attempt was graded, by the check's name; empty until it is done."""
        return self._timelines.of(attempt, learner)

    def stamps(self, subjects: Collection[Subject]) -> dict[Subject, Stamp]:
        """For accounts (by id) and labs: what differs whenever their pages do."""
        with self.records.read() as tx:
            found = stamps(tx, subjects, {})
            if any(stamp.busy for stamp in found.values()):
                found = stamps(tx, subjects, self._queue.places())
        return found

    def best(self, learner: str, lab: str) -> float | None:
        """The best score of the attempts that count; None before the first."""
        with self.records.read() as tx:
            return best(tx, user_of(tx, learner).id, lab)[0]

    # Doing it

    def wait(self, session: str, on_change: Callable[[SessionView], None] | None = None) -> SessionView:
        """Drive a session to what is wanted of it, or follow whoever does; returns when nothing more is under way."""
        self._jumps.make_up()
        notify = ChangeNotifier(on_change, lambda: self._any(session))
        notify()
        while True:
            worked = self._reconciler.reconcile(session, notify, grade=False)
            notify()
            view = self._any(session)
            if worked or view.settled:
                return view
            self.pause(POLL)

    def wake(self, session: str) -> None:
        """Have all that is wanted of a session done: by the process that drives them, else by a thread of this one."""
        (self.tell or self._background.wake)(session)

    def reconcile(self, *, background: bool = False) -> None:
        """Bring every session in line: finish, adopt, expire, remove; stop what its learner may not have any more.

        With ``background`` (the site's loop) all of it is done, by threads. Without (a command that starts) only what
        is quick is done here: leftovers of attempts whose process is gone are healed, what has ended is removed.
        """
        self._jumps.make_up()
        if background:
            self.write_activity()
        with self.records.read() as tx:
            todo = bool(self.access.withdrawn_sessions(tx) or forgettable(tx))
        if todo:
            with self.records.begin() as tx:
                self.access.stop_withdrawn(tx)
                forget(tx)
        with self.records.read() as tx:
            wanted = due(tx, self.now())
        for session, quick in wanted:
            if self._locks.held(session):
                continue
            if background:
                self.wake(session)
            elif quick:
                self._reconciler.reconcile(session, _nothing, grade=False)
        if background:
            self._watch.look()

    def write_activity(self) -> None:
        """Write down what :meth:`active` noted; what cannot be written now is kept for the next time."""
        try:
            self._activities.write()
        except Unavailable as error:
            log.info("who was active is written down in a moment: %s", error.reason)

    def close(self) -> None:
        """This process is about to end: let threads finish what they hold, grading included (as interrupted)."""
        self._background.close()
        self.grader.close()
        self.write_activity()

    # Inside

    def _given_up(self, current: SessionView, provider: str | None) -> bool:
        """Whether a new session may take the place of one that has not ended; ``NotNow`` when it has to be stopped.

        It may when that one is being removed anyway, and when it never came up and is wanted on another provider;
        ``NotFound`` when there is no such provider.
        """
        with self.records.read() as tx:
            row = tx.get_one(Session, current.id)
        if row.desired != "ready":
            return True
        if provider in (None, row.provider):
            return False
        self.providers.get(provider)  # NotFound: there is none to move to
        if row.state == "failed" and row.ready_at is None and not self._locks.held(row.id):
            return True
        raise NotNow(f"{row.lab} is already there on {row.provider}; stop it first", f"kindling stop {row.lab}")

    def _again(self, current: SessionView) -> SessionView:
        """Starting what is there already: fine; what failed is tried again."""
        with self.records.begin() as tx:
            row = tx.get_one(Session, current.id)
            if row.desired != "ready":
                raise NotNow(f"{row.lab} was stopped at the same moment", f"kindling start {row.lab}")
            self.access.require(tx, row.user, row.provider, row.lab, self._needs(row.lab))
            if row.state == "failed":
                row.state, row.detail, row.fix = "provisioning", "", ""
                row.steps.clear()
                row.expires_at = max(row.expires_at, self.now() + self._lifetime(self._minutes(row.lab)))
            self._activities.record(tx, row, "start")
            return self._view(tx, row)

    def _chosen(self, learner: str, lab: Lab, provider: str | None) -> str:
        """The provider a learner asked for, or the default, or else the first that is open to them and can do it."""
        with self.records.read() as tx:
            user = user_of(tx, learner)

            def offered(name: str) -> bool:
                return self.access.may(tx, user, name)

            name = provider or self.settings.provider
            if provider is None and not offered(name):
                name = next(iter(self.providers.able(lab.needs, offered)), name)
            self.access.require(tx, user, name, lab.name, lab.needs)
            self.providers.fit(name, lab.needs, lab.name, offered)
            return name

    def _needs(self, lab: str) -> Needs:
        try:
            return self.labs.get(lab).needs
        except KindlingError:  # it was taken away or broken meanwhile
            return Needs()

    def _lifetime(self, minutes: int) -> timedelta:
        return min(timedelta(hours=self.settings.session_hours), max(SHORTEST, timedelta(minutes=minutes * FACTOR)))

    def _minutes(self, lab: str) -> int:
        try:
            return self.labs.get(lab).minutes
        except KindlingError:  # it was taken away or broken meanwhile: the shortest time
            return 0

    def _any(self, session: str) -> SessionView:
        with self.records.read() as tx:
            row = tx.get(Session, session)
            if row is None:
                raise NotFound("there is no such lab")
            return self._view(tx, row)

    def _attempt_view(self, tx: Transaction, row: Attempt) -> AttemptView:
        before = self._queue.before(tx, row.id) if row.state == "wanted" else None
        return attempt_view(tx, row, self.now(), before=before)

    def _view(self, tx: Transaction, row: Session) -> SessionView:
        try:
            points = self.labs.get(row.lab).points
        except KindlingError:  # taken away or broken meanwhile: what it was worth when last handed in
            last = select(Attempt.max_score).where(Attempt.lab == row.lab).order_by(Attempt.wanted_at.desc()).limit(1)
            points = tx.scalar(last) or 0.0
        working = row.ended_at is None and self._locks.held(row.id)
        return session_view(tx, row, self.now(), working=working, max_score=points)


def _nothing() -> None:
    """Nobody is watching."""
