"""What is handed in is a fork: the learner's cluster is neither touched nor held, whatever becomes of the attempt."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.protocol import Outcome
from labs.bootstrap import Kindling
from labs.records.models import Attempt
from labs.session.ends import AGAIN_AS_IT_IS, COMING_BACK
from labs.session.mending import FORKED_LOOKS
from tests.doubles.providers import ForkingProvider, KilledGrader, ManualClock, ScriptedGrader
from tests.unit.labs.conftest import checked, sleepless

UNDECIDED = {"first": Outcome.UNGRADABLE}


@pytest.fixture
def provider(tmp_path: Path) -> ForkingProvider:
    return ForkingProvider(tmp_path / "clusters")


@pytest.fixture
def grader() -> KilledGrader:
    """One whose process is killed ``kills`` times."""
    return KilledGrader(0)


@pytest.fixture
def services(services: Kindling) -> Kindling:
    return sleepless(services)


def restarts_once(provider: ForkingProvider, grader: ScriptedGrader) -> None:
    """While the first check of the first try is graded, what clusters live in is started again."""

    def during(name: str) -> None:
        grader.outcomes = {}
        if len(grader.requests) == 1 and name == "first":
            provider.restart()
            grader.outcomes = dict(UNDECIDED)

    grader.during = during


def done_to(provider: ForkingProvider) -> list[str]:
    """What was done to the learner's cluster since it was made, forking aside."""
    made = next(number for number, line in enumerate(provider.log) if line.startswith("create"))
    return [line for line in provider.log[made + 1 :] if not line.startswith("fork ")]


class TestForked:
    def test_the_hand_in_is_graded_on_a_copy(
        self, services: Kindling, provider: ForkingProvider, grader: ScriptedGrader
    ) -> None:
        done = checked(services)
        assert (done.outcome, done.score) == ("passed", 10)
        assert [one.split()[3] for one in grader.copies] == ["fork-2"]
        assert grader.requests[0].kubeconfig.startswith("# grader of fork-1")
        assert provider.forks == []

    @pytest.mark.parametrize("outcomes", [{}, {"first": Outcome.FAILED}, UNDECIDED])
    def test_the_learners_cluster_is_left_alone(
        self, services: Kindling, provider: ForkingProvider, grader: ScriptedGrader, outcomes: dict[str, Outcome]
    ) -> None:
        grader.outcomes = outcomes
        checked(services)
        assert done_to(provider) == []
        assert grader.cleaned == []
        assert grader.requests[0].mark == ""
        assert not [one for one in provider.asked if one[0] == "graded"]

    def test_whatever_the_grader_meets_no_fork_is_left(
        self, services: Kindling, provider: ForkingProvider, grader: ScriptedGrader
    ) -> None:
        def breaks(name: str) -> None:
            raise RuntimeError("out of memory")

        grader.during = breaks
        assert checked(services).outcome == "ungradable"
        assert provider.forks == []

    def test_a_cluster_that_cannot_be_copied_exactly_is_graded_in_place(
        self, services: Kindling, provider: ForkingProvider, grader: ScriptedGrader
    ) -> None:
        provider.inexact = "somebody follows logs"
        session = services.sessions.wait(services.sessions.start("ada", "first").id)
        done = services.sessions.follow(services.sessions.check(session.id, "ada").id, "ada")
        assert done.outcome == "passed"
        assert grader.copies == []
        assert grader.requests[0].mark
        assert [one[0] for one in provider.asked if one[0] == "graded"] == ["graded", "graded"]
        with services.records.read() as tx:
            assert tx.get_one(Attempt, done.id).forked is False


class TestInterrupted:
    def test_a_killed_process_begins_again_from_the_same_hand_in(
        self, services: Kindling, provider: ForkingProvider, grader: KilledGrader
    ) -> None:
        grader.kills = 1
        done = checked(services)
        assert (done.outcome, done.counted, done.number) == ("passed", True, 1)
        assert [request.kubeconfig for request in grader.requests] == [grader.requests[0].kubeconfig] * 2
        assert done_to(provider) == []

    def test_once_only(self, services: Kindling, provider: ForkingProvider, grader: KilledGrader) -> None:
        grader.kills = 9
        done = checked(services)
        assert (done.outcome, done.counted, len(grader.requests)) == ("ungradable", False, 2)
        assert "interrupted twice by something that is not yours" in done.detail
        assert provider.forks == []

    def test_a_copy_that_ends_in_the_middle_is_an_interruption(
        self, services: Kindling, provider: ForkingProvider, grader: ScriptedGrader
    ) -> None:
        def copy_ends(name: str) -> None:
            if len(grader.requests) == 1:
                provider.forks[:] = provider.forks[:1]

        grader.during, grader.outcomes = copy_ends, {"first": Outcome.FAILED}
        done = checked(services)
        assert (len(grader.requests), done.counted, done.outcome) == (2, True, "failed")

    def test_a_host_that_is_started_again_has_it_graded_from_the_cluster_as_it_is_then(
        self, services: Kindling, provider: ForkingProvider, grader: ScriptedGrader
    ) -> None:
        told: list[str] = []

        def restarts(name: str) -> None:
            if len(grader.requests) == 1:
                provider.restart()
                grader.outcomes = dict(UNDECIDED)
            else:
                grader.outcomes = {}

        grader.during = restarts
        session = services.sessions.wait(services.sessions.start("ada", "first").id)
        attempt = services.sessions.check(session.id, "ada").id
        done = services.sessions.follow(attempt, "ada", lambda view: told.append(view.detail))
        assert (done.outcome, done.counted) == ("passed", True)
        assert AGAIN_AS_IT_IS in told
        assert done_to(provider) == []
        assert len({request.kubeconfig for request in grader.requests}) == 2

    def test_what_was_ready_before_is_waited_for_at_the_learners_own_speed(
        self, services: Kindling, provider: ForkingProvider, grader: ScriptedGrader
    ) -> None:
        told: list[str] = []
        restarts_once(provider, grader)
        grader.lacking = ['Pod "default/notebook" is not ready'] * 3
        session = services.sessions.wait(services.sessions.start("ada", "first").id)
        attempt = services.sessions.check(session.id, "ada").id
        done = services.sessions.follow(attempt, "ada", lambda view: told.append(view.detail))
        assert done.outcome == "passed"
        assert COMING_BACK in told
        assert not [one for one in provider.asked if one[0] == "graded"]

    def test_what_the_learner_took_away_meanwhile_is_not_waited_for_for_ever(
        self, services: Kindling, provider: ForkingProvider, grader: ScriptedGrader
    ) -> None:
        restarts_once(provider, grader)
        grader.lacking = ['Deployment "default/web" is not ready'] * 10_000
        done = checked(services)
        assert (done.outcome, done.counted, len(grader.requests)) == ("passed", True, 2)
        assert len(grader.looked) == FORKED_LOOKS

    def test_one_whose_session_was_killed_is_graded_again_and_nothing_is_healed(
        self, services: Kindling, provider: ForkingProvider, clock: ManualClock, grader: ScriptedGrader
    ) -> None:
        session = services.sessions.wait(services.sessions.start("ada", "first").id)
        attempt = services.sessions.check(session.id, "ada")
        with services.records.begin() as tx:
            row = tx.get_one(Attempt, attempt.id)
            row.state, row.started_at, row.forked = "running", clock(), True
        done = services.sessions.follow(attempt.id, "ada")
        assert (done.outcome, done.counted) == ("passed", True)
        assert done_to(provider) == []
        assert grader.cleaned == []

    def test_a_hand_in_that_is_gone_is_an_interruption(
        self, services: Kindling, provider: ForkingProvider, grader: ScriptedGrader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usual, ended = provider.fork, []

        def fork(handle: dict[str, object], seconds: float) -> dict[str, object]:
            if str(handle["name"]).startswith("fork-") and not ended:
                ended.append(handle)
                provider.forks.clear()
            return usual(handle, seconds)

        monkeypatch.setattr(provider, "fork", fork)
        done = checked(services)
        assert (done.outcome, done.counted, len(ended)) == ("passed", True, 1)


def test_what_is_kept_warm_for_grading_ends_with_the_services(services: Kindling, grader: ScriptedGrader) -> None:
    services.close()
    assert grader.closed
