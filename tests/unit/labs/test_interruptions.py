"""What comes between while an attempt is graded: whose it is, and whether the attempt is graded again by itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from grader.protocol import Outcome
from labs.bootstrap import Kindling
from labs.errors import Unavailable
from labs.records.failures import locked
from labs.records.models import Attempt
from labs.session import AttemptView
from labs.session.ends import AGAIN, MENDING, STOPPED
from labs.session.mending import MARGIN, READY_LOOKS, READY_POLL
from tests.doubles.providers import (
    ControlledProvider,
    CrashingGrader,
    ManualClock,
    RestartedProvider,
    ScriptedGrader,
)
from tests.unit.labs.conftest import Make, checked, sleepless

FAILS = {"first": Outcome.FAILED}
UNDECIDED = {"first": Outcome.UNGRADABLE}


@pytest.fixture
def provider(tmp_path: Any) -> RestartedProvider:
    return RestartedProvider(tmp_path / "clusters")


@pytest.fixture
def services(services: Kindling) -> Kindling:
    return sleepless(services)


def left_running(services: Kindling, clock: ManualClock) -> AttemptView:
    """An attempt whose grading has begun, and which nobody drives any more."""
    session = services.sessions.wait(services.sessions.start("ada", "first").id)
    attempt = services.sessions.check(session.id, "ada")
    with services.records.begin() as tx:
        row = tx.get_one(Attempt, attempt.id)
        row.state, row.started_at = "running", clock()
    return attempt


def at(grader: ScriptedGrader, happens: Callable[[], None], outcomes: Mapping[str, Outcome], times: int = 1) -> None:
    """In the middle of the first ``times`` gradings this happens, and they end so; the others as they would."""
    grader.outcomes = dict(outcomes)

    def during(name: str) -> None:
        if name == "first":
            if len(grader.requests) <= times:
                happens()
            else:
                grader.outcomes = {}

    grader.during = during


class TestRestarted:
    """What runs the cluster is started again in the middle: the host was killed, Docker restarted."""

    @pytest.mark.parametrize("outcomes", [FAILS, UNDECIDED])
    def test_it_is_graded_again_by_itself(
        self, services: Kindling, provider: RestartedProvider, grader: ScriptedGrader, outcomes: dict[str, Outcome]
    ) -> None:
        at(grader, provider.restart, outcomes)
        done = checked(services)
        assert (done.outcome, done.counted, done.number, done.score) == ("passed", True, 1, 10)
        assert len(grader.requests) == 2

    def test_after_everything_was_mended(
        self, services: Kindling, provider: RestartedProvider, grader: ScriptedGrader
    ) -> None:
        at(grader, provider.restart, UNDECIDED)
        checked(services)
        assert provider.log[-1] == "heal"
        assert grader.cleaned[-1] == "default"

    def test_and_when_the_cluster_is_well_again(
        self, services: Kindling, provider: RestartedProvider, grader: ScriptedGrader
    ) -> None:
        at(grader, lambda: provider.restart(away=20), UNDECIDED)
        assert checked(services).outcome == "passed"
        assert provider.away == 0

    def test_one_that_never_comes_back_ends_it_with_the_reason(
        self, services: Kindling, provider: RestartedProvider, grader: ScriptedGrader
    ) -> None:
        at(grader, lambda: provider.restart(away=10_000), UNDECIDED)
        done = checked(services)
        assert (done.outcome, done.counted) == ("ungradable", False)
        cause = services.reports.attempt(None, done.id).cause
        assert cause == "what runs the cluster does not answer: Docker does not answer"

    def test_once_only(self, services: Kindling, provider: RestartedProvider, grader: ScriptedGrader) -> None:
        at(grader, provider.restart, FAILS, times=9)
        done = checked(services)
        assert (done.outcome, done.counted, len(grader.requests)) == ("ungradable", False, 2)
        assert "interrupted twice by something that is not yours" in done.detail
        assert [one.outcome for one in done.checks] == ["ungradable", "passed"]
        cause = services.reports.attempt(None, done.id).cause
        assert cause.startswith("what runs the cluster was started again in the middle")

    def test_what_passed_all_the_same_has_passed(
        self, services: Kindling, provider: RestartedProvider, grader: ScriptedGrader
    ) -> None:
        at(grader, provider.restart, {})
        assert checked(services).outcome == "passed"
        assert len(grader.requests) == 1

    def test_while_nothing_answers_it_is_not_even_begun(
        self, services: Kindling, provider: RestartedProvider, grader: ScriptedGrader
    ) -> None:
        session = services.sessions.wait(services.sessions.start("ada", "first").id)
        attempt = services.sessions.check(session.id, "ada")
        provider.away = 3
        assert services.sessions.follow(attempt.id, "ada").outcome == "passed"
        assert len(grader.requests) == 1

    def test_others_who_come_by_leave_it_until_it_is_well(
        self, services: Kindling, provider: RestartedProvider, clock: ManualClock
    ) -> None:
        attempt = left_running(services, clock)
        provider.away = 1
        services.sessions.reconcile()
        assert services.sessions.attempt(attempt.id, "ada").state == "running"
        services.sessions.reconcile()
        assert services.sessions.attempt(attempt.id, "ada").state == "wanted"


KILLED_POD = 'Pod "default/notebook" is not ready'


class TestRecovery:
    """What the interrupted grading broke is waited for before the next one begins."""

    def test_it_is_graded_again_when_what_was_ready_is_ready(
        self, services: Kindling, provider: RestartedProvider, grader: ScriptedGrader
    ) -> None:
        waited: list[float] = []
        services.sessions.pause = waited.append
        services.sessions.__post_init__()
        at(grader, provider.restart, FAILS)
        grader.lacking = [KILLED_POD] * 21
        done = checked(services)
        assert (done.outcome, done.counted, done.score, done.detail) == ("passed", True, 10, "")
        assert waited.count(READY_POLL) == 21

    def test_against_the_snapshot_of_the_first_grading(
        self, services: Kindling, provider: RestartedProvider, grader: ScriptedGrader
    ) -> None:
        at(grader, provider.restart, FAILS)
        grader.snapshot = {"ready": {"objects": [], "more": False}}
        checked(services)
        assert grader.looked == [grader.snapshot]

    def test_the_learner_is_told_meanwhile(
        self, services: Kindling, provider: RestartedProvider, grader: ScriptedGrader
    ) -> None:
        at(grader, provider.restart, FAILS)
        grader.lacking = [KILLED_POD] * 2
        seen: list[tuple[str, str]] = []
        session = services.sessions.wait(services.sessions.start("ada", "first").id)
        attempt = services.sessions.check(session.id, "ada").id
        services.sessions.pause = lambda _: seen.append(told(services, attempt))
        services.sessions.__post_init__()
        grader.during = _then(grader.during, lambda: seen.append(told(services, attempt)))
        services.sessions.follow(attempt, "ada")
        assert ("running", MENDING) in seen
        assert seen[-1] == ("running", AGAIN)

    def test_what_does_not_recover_is_ungradable_with_the_reason(
        self, services: Kindling, provider: RestartedProvider, grader: ScriptedGrader
    ) -> None:
        at(grader, provider.restart, FAILS)
        grader.lacking = [KILLED_POD] * 10_000
        done = checked(services)
        assert (done.outcome, done.counted, len(grader.requests)) == ("ungradable", False, 1)
        assert f"did not recover in time ({KILLED_POD})" in done.detail
        cause = services.reports.attempt(None, done.id).cause
        assert cause == f"what runs the cluster was started again in the middle; {KILLED_POD}"
        assert len(grader.looked) == READY_LOOKS

    def test_others_who_come_by_leave_it_until_then(
        self, services: Kindling, clock: ManualClock, grader: ScriptedGrader
    ) -> None:
        attempt = left_running(services, clock)
        grader.lacking = [KILLED_POD]
        services.sessions.reconcile()
        assert services.sessions.attempt(attempt.id, "ada").state == "running"
        services.sessions.reconcile()
        assert services.sessions.attempt(attempt.id, "ada").state == "wanted"

    def test_whoever_stops_the_lab_meanwhile_does_not_wait(
        self, services: Kindling, provider: RestartedProvider, grader: ScriptedGrader
    ) -> None:
        session = services.sessions.wait(services.sessions.start("ada", "first").id)
        attempt = services.sessions.check(session.id, "ada").id
        services.sessions.pause = lambda _: services.sessions.stop(session.id, "ada") and None
        services.sessions.__post_init__()
        at(grader, provider.restart, FAILS)
        grader.lacking = [KILLED_POD] * 10_000
        services.sessions.reconcile(background=True)
        done = services.sessions.follow(attempt, "ada")
        assert (done.outcome, done.counted, done.detail) == ("ungradable", False, STOPPED)
        assert len(grader.looked) < 5

    def test_the_clock_runs_while_it_is_waited_for(self, make: Make, tmp_path: Any) -> None:
        class Paused(ControlledProvider, RestartedProvider):
            pass

        provider, grader = Paused(tmp_path / "paused"), ScriptedGrader()
        services = make(provider, grader)
        services.sessions.pause = lambda _: None
        services.sessions.__post_init__()
        at(grader, provider.restart, FAILS)
        grader.lacking = [KILLED_POD] * 3
        assert checked(services).outcome == "passed"
        assert ("graded", READY_LOOKS * READY_POLL + MARGIN) in provider.asked
        assert provider.asked[-1] == ("graded", 0)


def told(services: Kindling, attempt: str) -> tuple[str, str]:
    view = services.sessions.attempt(attempt, "ada")
    return view.state, view.detail


def _then(one: Callable[[str], None], other: Callable[[], None]) -> Callable[[str], None]:
    def both(name: str) -> None:
        one(name)
        other()

    return both


class TestTheLearners:
    """What is theirs, or may be, is never graded again by itself."""

    @pytest.mark.parametrize(("outcomes", "ends"), [(FAILS, "failed"), (UNDECIDED, "ungradable")])
    def test_a_cluster_that_only_they_can_have_broken(
        self, services: Kindling, grader: ScriptedGrader, outcomes: dict[str, Outcome], ends: str
    ) -> None:
        grader.outcomes = outcomes
        assert checked(services).outcome == ends
        assert len(grader.requests) == 1

    def test_nor_a_grader_that_met_an_error_of_its_own(self, make: Make, provider: RestartedProvider) -> None:
        assert checked(make(provider, CrashingGrader())).outcome == "ungradable"

    def test_a_component_that_they_stopped_fails_what_could_not_be_decided(
        self, make: Make, tmp_path: Any, grader: ScriptedGrader
    ) -> None:
        class Stopped(ControlledProvider):
            def components(self, change: Mapping[str, Any] | None = None) -> dict[str, Any]:
                return {"components": {"etcd": True, "kube-apiserver": False}, "nodes": {"worker": ["cut off"]}}

        provider = Stopped(tmp_path / "stopped")
        grader.outcomes = {"first": Outcome.UNGRADABLE, "second": Outcome.FAILED}
        done = checked(make(provider))
        assert (done.outcome, done.counted) == ("failed", True)
        assert done.checks[1].message.startswith("expected second")
        assert done.checks[0].message == (
            "Expected: every component of the cluster to run\n"
            "Observed: stopped: kube-apiserver, node worker (cut off)\nLook: kindling components"
        )
        assert "heal" not in provider.log

    def test_with_everything_running_it_is_nobodys(self, make: Make, tmp_path: Any, grader: ScriptedGrader) -> None:
        class Running(ControlledProvider):
            def components(self, change: Mapping[str, Any] | None = None) -> dict[str, Any]:
                return {"components": {"etcd": True}, "nodes": {"worker": []}}

        grader.outcomes = UNDECIDED
        assert checked(make(Running(tmp_path / "running"))).outcome == "ungradable"


class DatabaseAway:
    """The database refuses every transaction that writes until so many were refused."""

    def __init__(self, services: Kindling, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left, begin = 0, services.records.begin

        def refusing(**how: float) -> Any:
            if self.left > 0:
                self.left -= 1
                raise locked("kindling.db", 0.5)
            return begin(**how)

        monkeypatch.setattr(services.records, "begin", refusing)


class TestDatabaseAway:
    @pytest.mark.parametrize("refused", [1, 3, 20])
    def test_the_verdict_waits_for_it(
        self,
        services: Kindling,
        grader: ScriptedGrader,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        refused: int,
    ) -> None:
        caplog.set_level("INFO")
        database = DatabaseAway(services, monkeypatch)

        def away() -> None:
            database.left = refused

        at(grader, away, {})
        done = checked(services)
        assert (done.outcome, done.score, len(grader.requests)) == ("passed", 10, 1)
        assert [(one.outcome, one.title) for one in done.checks] == [("passed", "First"), ("passed", "Second")]
        assert "something else is writing to kindling.db and was waited for 0.5 s" in caplog.text
        assert "nothing of this was kept" not in caplog.text
        assert "Try again" not in caplog.text

    def test_one_that_stays_away_loses_nothing(
        self, services: Kindling, grader: ScriptedGrader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database = DatabaseAway(services, monkeypatch)

        def away() -> None:
            database.left = 10_000

        at(grader, away, {})
        with pytest.raises(Unavailable):
            checked(services)
        database.left = 0
        services.sessions.reconcile(background=True)
        session = services.sessions.current("ada", "first")
        assert session is not None
        (attempt,) = services.sessions.attempts("ada", "first")
        assert services.sessions.follow(attempt.id, "ada").outcome == "passed"


def test_at_whatever_moment(make: Make, tmp_path: Any) -> None:
    """Thirty gradings, a restart in the middle of each third: every one ends as it would without."""
    moments = random.Random(5)
    provider = RestartedProvider(tmp_path / "many")
    grader = ScriptedGrader()
    services = make(provider, grader)
    services.sessions.pause = lambda _: None
    services.sessions.__post_init__()
    session = services.sessions.wait(services.sessions.start("ada", "first").id)
    for number in range(30):
        where = moments.choice(["first", "second"])
        struck: list[str] = []

        def during(name: str, where: str = where, struck: list[str] = struck, number: int = number) -> None:
            grader.outcomes = {}
            if number % 3 == 0 and name == where and not struck:
                struck.append(name)
                provider.restart(away=moments.randrange(4))
                grader.outcomes = {name: moments.choice([Outcome.FAILED, Outcome.UNGRADABLE])}

        grader.during = during
        done = services.sessions.follow(services.sessions.check(session.id, "ada").id, "ada")
        assert (number, done.outcome) == (number, "passed")
    assert len(grader.requests) == 40
