"""The queue of what is handed in: who is next, how many at once, what becomes of those who are killed or stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from labs.bootstrap import Kindling
from labs.locks import Locks
from labs.records.models import Attempt
from labs.session import AttemptView, SessionView
from labs.session.queue import STUCK_LOOKS, GradingQueue, line
from labs.settings import Settings
from tests.doubles.providers import KilledGrader, ManualClock, MemoryProvider, ScriptedGrader
from tests.unit.labs.conftest import Make, write_lab

LABS = ("first", "second", "third")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """One grader, three labs."""
    for lab in LABS[1:]:
        write_lab(settings.catalogs[0], lab)
    return replace(settings, graders=1)


@pytest.fixture
def places(settings: Settings) -> Locks:
    return Locks(settings.grader_locks)


@pytest.fixture
def services(services: Kindling) -> Kindling:
    """With the accounts bob and eve as well."""
    for name in ("bob", "eve"):
        services.accounts.ensure(name)
    return services


def ready(services: Kindling, learner: str, lab: str = "first") -> SessionView:
    return services.sessions.wait(services.sessions.start(learner, lab).id)


def handed_in(services: Kindling, clock: ManualClock, learner: str, lab: str = "first") -> AttemptView:
    clock.pass_time(seconds=1)
    return services.sessions.check(ready(services, learner, lab).id, learner)


def order(services: Kindling) -> list[str]:
    with services.records.read() as tx:
        attempts = [tx.get_one(Attempt, one.attempt) for one in line(tx)]
        return [f"{one.user.name}/{one.lab}" for one in attempts]


def begin(services: Kindling, attempt: AttemptView, state: str = "running") -> None:
    with services.records.begin() as tx:
        row = tx.get_one(Attempt, attempt.id)
        row.state, row.started_at = state, services.sessions.now()


@contextmanager
def driven(services: Kindling, *attempts: AttemptView) -> Iterator[None]:
    """As if other processes drove the sessions of these attempts."""
    locks = Locks(services.settings.locks)
    with ExitStack() as stack:
        for attempt in attempts:
            assert stack.enter_context(locks.hold(attempt.session))
        yield


def in_thread(services: Kindling, attempt: AttemptView, done: list[AttemptView]) -> threading.Thread:
    thread = threading.Thread(target=lambda: done.append(services.sessions.follow(attempt.id, attempt.learner)))
    thread.start()
    return thread


class TestOrder:
    def test_learners_take_turns(self, services: Kindling, clock: ManualClock) -> None:
        for lab in LABS:
            handed_in(services, clock, "ada", lab)
        handed_in(services, clock, "bob")
        handed_in(services, clock, "eve")
        assert order(services) == ["ada/first", "bob/first", "eve/first", "ada/second", "ada/third"]

    def test_who_is_being_graded_has_had_a_turn(self, services: Kindling, clock: ManualClock) -> None:
        first = handed_in(services, clock, "ada", "first")
        handed_in(services, clock, "ada", "second")
        begin(services, first)
        handed_in(services, clock, "bob")
        assert order(services) == ["bob/first", "ada/second"]

    def test_so_has_who_was_graded_while_others_waited(self, services: Kindling, clock: ManualClock) -> None:
        first = handed_in(services, clock, "ada", "first")
        handed_in(services, clock, "ada", "second")
        begin(services, first, "done")
        handed_in(services, clock, "bob")
        assert order(services) == ["bob/first", "ada/second"]

    def test_what_cannot_be_graded_now_keeps_nobody_waiting(self, services: Kindling, clock: ManualClock) -> None:
        stopped = handed_in(services, clock, "ada")
        handed_in(services, clock, "bob")
        services.sessions.stop(stopped.session, "ada")
        assert order(services) == ["bob/first"]


class TestPlaces:
    def test_one_at_a_time_and_each_says_its_place(
        self, services: Kindling, clock: ManualClock, grader: ScriptedGrader
    ) -> None:
        at_work, go, together, most = threading.Event(), threading.Event(), [0], [0]

        def during(name: str) -> None:
            together[0] += 1
            most[0] = max(most[0], together[0])
            at_work.set()
            assert go.wait(20)
            together[0] -= 1

        grader.during = during
        attempts = [handed_in(services, clock, name) for name in ("ada", "bob", "eve")]
        done: list[AttemptView] = []
        threads = [in_thread(services, attempts[0], done)]
        assert at_work.wait(20)
        with driven(services, *attempts[1:]):
            seen = [services.sessions.attempt(one.id, one.learner) for one in attempts]
        assert [one.waiting for one in seen] == ["", "waiting: you are next", "waiting: 1 before you"]
        assert [one.started_at is None for one in seen] == [False, True, True]
        threads += [in_thread(services, attempt, done) for attempt in attempts[1:]]
        go.set()
        for thread in threads:
            thread.join(30)
        assert [one.outcome for one in done] == ["passed"] * 3
        assert most == [1]
        assert services.sessions.attempts("ada", "first")[0].waiting == ""

    def test_who_left_the_queue_is_not_waited_for(self, services: Kindling, clock: ManualClock) -> None:
        handed_in(services, clock, "ada")  # and its process was killed
        second = handed_in(services, clock, "bob")
        assert second.waiting == "waiting: you are next"
        assert services.sessions.follow(second.id, "bob").outcome == "passed"

    def test_a_stopped_process_is_passed_over(
        self, services: Kindling, clock: ManualClock, places: Locks, settings: Settings
    ) -> None:
        first, second = handed_in(services, clock, "ada"), handed_in(services, clock, "bob")
        pauses: list[float] = []
        queue = GradingQueue(services.records, Locks(settings.locks), places, 1, pauses.append)
        with driven(services, first, second), queue.turn(second.id, lambda: False, lambda: None) as granted:
            assert granted
            assert queue.free() == 0
        assert len(pauses) == STUCK_LOOKS
        assert queue.free() == 1

    def test_what_is_wanted_no_more_gets_no_place(
        self, services: Kindling, clock: ManualClock, places: Locks, settings: Settings
    ) -> None:
        attempt = handed_in(services, clock, "ada")
        unwanted, moved = [False], [0]

        def pause(_: float) -> None:
            unwanted[0] = moved[0] > 0

        queue = GradingQueue(services.records, Locks(settings.locks), places, 1, pause)
        with (
            places.hold("0") as held,
            driven(services, attempt),
            queue.turn(attempt.id, lambda: unwanted[0], lambda: moved.__setitem__(0, moved[0] + 1)) as granted,
        ):
            assert held
            assert not granted
        assert moved == [1]

    def test_stopping_a_lab_that_waits_ends_its_attempt(
        self, services: Kindling, clock: ManualClock, places: Locks
    ) -> None:
        attempt, done = handed_in(services, clock, "ada"), list[AttemptView]()
        with places.hold("0"):
            thread = in_thread(services, attempt, done)
            services.sessions.stop(attempt.session, "ada")
            thread.join(30)
        assert [(one.outcome, one.counted, one.started_at) for one in done] == [("ungradable", False, None)]

    def test_ctrl_c_while_it_waits_takes_it_back(
        self, services: Kindling, clock: ManualClock, places: Locks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def pause(_: float) -> None:
            raise KeyboardInterrupt

        attempt = handed_in(services, clock, "ada")
        monkeypatch.setattr(services.sessions._queue, "_pause", pause)
        with places.hold("0"), pytest.raises(KeyboardInterrupt):
            services.sessions.follow(attempt.id, "ada")
        done = services.sessions.attempt(attempt.id, "ada")
        assert (done.state, done.outcome, done.counted) == ("done", "ungradable", False)

    def test_a_site_that_ends_leaves_what_waits_to_the_next(
        self, make: Make, services: Kindling, clock: ManualClock, places: Locks, provider: MemoryProvider
    ) -> None:
        attempt = handed_in(services, clock, "ada")
        with places.hold("0"):
            services.sessions.wake(attempt.session)
            services.sessions.close()
            assert services.sessions.attempt(attempt.id, "ada").state == "wanted"
        after = make(provider)
        after.sessions.reconcile(background=True)
        assert after.sessions.follow(attempt.id, "ada").outcome == "passed"


class TestKilled:
    def test_it_is_graded_again_by_itself(
        self, services: Kindling, clock: ManualClock, provider: MemoryProvider, grader: ScriptedGrader
    ) -> None:
        attempt = handed_in(services, clock, "ada")
        begin(services, attempt)
        services.sessions.reconcile()
        again = services.sessions.attempt(attempt.id, "ada")
        assert (again.state, again.outcome, again.started_at) == ("wanted", None, None)
        assert {one.state for one in again.checks} == {"waiting"}
        assert (provider.log[-1], grader.cleaned) == ("heal", ["default"])
        services.sessions.reconcile(background=True)
        done = services.sessions.follow(attempt.id, "ada")
        assert (done.outcome, done.counted, done.number) == ("passed", True, 1)

    def test_but_once_only(self, services: Kindling, clock: ManualClock) -> None:
        attempt = handed_in(services, clock, "ada")
        for _ in range(2):
            begin(services, attempt)
            services.sessions.reconcile()
        done = services.sessions.attempt(attempt.id, "ada")
        assert (done.state, done.outcome, done.counted) == ("done", "ungradable", False)

    def test_not_before_its_grading_process_is_gone(self, services: Kindling, clock: ManualClock) -> None:
        attempt = handed_in(services, clock, "ada")
        begin(services, attempt)
        with Locks(services.settings.marks).hold(attempt.id):
            services.sessions.reconcile()
            assert services.sessions.attempt(attempt.id, "ada").state == "running"
        services.sessions.reconcile()
        assert services.sessions.attempt(attempt.id, "ada").state == "wanted"

    def test_what_it_had_changed_is_put_back_by_its_mark(
        self, services: Kindling, clock: ManualClock, grader: ScriptedGrader
    ) -> None:
        attempt = handed_in(services, clock, "ada")
        begin(services, attempt)
        Locks(services.settings.marks).file(attempt.id).write_bytes(b'{"how": "operate"}\n')
        services.sessions.reconcile()
        assert services.sessions.attempt(attempt.id, "ada").state == "wanted"
        assert grader.marks == [b'{"how": "operate"}\n']

    def test_not_when_something_it_changed_was_not_put_back(self, services: Kindling, clock: ManualClock) -> None:
        attempt = handed_in(services, clock, "ada")
        begin(services, attempt)
        mark = Locks(services.settings.marks).file(attempt.id)
        mark.write_bytes(b"{")
        services.sessions.reconcile()
        assert services.sessions.attempt(attempt.id, "ada").outcome == "ungradable"
        assert not mark.exists()

    def test_not_when_the_cluster_is_gone(
        self, services: Kindling, clock: ManualClock, provider: MemoryProvider
    ) -> None:
        attempt = handed_in(services, clock, "ada")
        begin(services, attempt)
        for path in provider.folder.glob("*"):
            path.unlink()
        services.sessions.reconcile()
        assert services.sessions.attempt(attempt.id, "ada").outcome == "ungradable"

    @pytest.mark.parametrize(("kills", "outcome"), [(1, "passed"), (2, "ungradable")])
    def test_a_grading_process_that_somebody_kills(
        self, make: Make, provider: MemoryProvider, clock: ManualClock, kills: int, outcome: str
    ) -> None:
        grader = KilledGrader(kills)
        services = make(provider, grader)
        attempt = handed_in(services, clock, "ada")
        assert services.sessions.follow(attempt.id, "ada").outcome == outcome
        assert len(grader.requests) == 2
