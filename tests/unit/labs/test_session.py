"""The life of a session: what is asked for is recorded, done once, and survives whoever was doing it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from grader.protocol import Outcome
from labs.bootstrap import Kindling
from labs.clusters.provider import Fault
from labs.errors import NotFound, NotNow, NotPossible
from labs.records.models import Attempt, Session
from labs.session import AttemptView, SessionView
from labs.session.reconciler import AWAY
from tests.doubles.providers import (
    BrokenHalfwayProvider,
    CrashingGrader,
    EndedProvider,
    InterruptedGrader,
    ManualClock,
    MemoryProvider,
    ScriptedGrader,
    SlowProvider,
    StubbornProvider,
    UnavailableProvider,
)
from tests.unit.labs.conftest import LAB_YAML, Make, write_lab


def ready(services: Kindling, learner: str = "ada", lab: str = "first") -> SessionView:
    """A session brought up."""
    return services.sessions.wait(services.sessions.start(learner, lab).id)


def graded(services: Kindling, session: SessionView) -> AttemptView:
    """An attempt handed in and graded."""
    return services.sessions.follow(services.sessions.check(session.id, session.learner).id, session.learner)


class TestStart:
    def test_records_and_returns_before_anything_is_made(self, services: Kindling, provider: MemoryProvider) -> None:
        view = services.sessions.start("ada", "first")
        assert (view.state, view.provider, view.learner, view.max_score) == ("provisioning", "memory", "ada", 10)
        assert provider.clusters() == []

    def test_wait_brings_it_up_and_tells_every_step(self, services: Kindling, provider: MemoryProvider) -> None:
        seen: list[list[tuple[str, str]]] = []
        session = services.sessions.start("ada", "first")
        view = services.sessions.wait(session.id, lambda v: seen.append([(s.name, s.state) for s in v.steps]))
        assert view.state == "ready"
        assert view.ready_at is not None
        assert [("Making nodes", "running"), ("Applying the lab", "waiting")] in seen
        assert seen[-1] == [("Making nodes", "done"), ("Applying the lab", "done")]
        assert len(provider.clusters()) == 1

    def test_twice_is_one_cluster(self, services: Kindling, provider: MemoryProvider) -> None:
        first, second = services.sessions.start("ada", "first"), services.sessions.start("ada", "first")
        assert first.id == second.id
        services.sessions.wait(first.id)
        assert services.sessions.wait(second.id).state == "ready"
        assert [line.split()[0] for line in provider.log] == ["create"]

    def test_from_many_threads_is_one_session(self, services: Kindling) -> None:
        barrier, found = threading.Barrier(8), []

        def go() -> None:
            barrier.wait()
            found.append(services.sessions.start("ada", "first").id)

        threads = [threading.Thread(target=go) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert len(set(found)) == 1

    def test_parameters_are_the_learners_and_stay(self, services: Kindling) -> None:
        services.accounts.ensure("bob")
        first = ready(services)
        services.sessions.wait(services.sessions.stop(first.id, "ada").id)
        assert ready(services).parameters == first.parameters
        seeds = {str(services.labs.get("first").parameters_for(str(seed))) for seed in range(30)}
        assert len(seeds) == 6

    def test_unknown_lab_account_provider(self, services: Kindling) -> None:
        with pytest.raises(NotFound, match="there are: first"):
            services.sessions.start("ada", "nope")
        with pytest.raises(NotFound, match="no account"):
            services.sessions.start("nobody", "first")
        with pytest.raises(NotFound, match="there are: memory, other"):
            services.sessions.start("ada", "first", "cloud")

    def test_what_is_missing_and_who_has_it(self, make: Make, catalog: Path, tmp_path: Path) -> None:
        write_lab(catalog, "big", LAB_YAML.replace("{nodes: 1}", "{nodes: 3, faults: [stop-node]}"))
        services = make(MemoryProvider(tmp_path / "small", nodes=1, faults=frozenset()))
        with pytest.raises(NotPossible) as refused:
            services.sessions.start("ada", "big")
        assert str(refused.value) == (
            "the lab big needs 3 nodes (it has at most 1) and the faults stop-node, which memory does not have; "
            "other has what it needs: kindling start big --on other"
        )
        assert services.sessions.all("ada") == []

    def test_unavailable_provider_has_its_fix(self, make: Make, tmp_path: Path) -> None:
        services = make(UnavailableProvider(tmp_path / "none"))
        with pytest.raises(NotPossible, match="Docker does not answer; other has what it needs") as refused:
            services.sessions.start("ada", "first")
        assert refused.value.fix == "sudo systemctl start docker"

    def test_elsewhere_while_it_is_there(self, services: Kindling) -> None:
        ready(services)
        with pytest.raises(NotNow, match="already there on memory"):
            services.sessions.start("ada", "first", "other")

    def test_elsewhere_when_it_never_came_up(self, make: Make, tmp_path: Path) -> None:
        provider = BrokenHalfwayProvider(tmp_path / "broken")
        services = make(provider)
        failed = ready(services)
        elsewhere = services.sessions.wait(services.sessions.start("ada", "first", "other").id)
        assert (elsewhere.state, elsewhere.provider) == ("ready", "other")
        assert services.sessions.view(failed.id, "ada").state == "stopping"
        services.sessions.reconcile()
        assert services.sessions.view(failed.id, "ada").state == "stopped"
        assert provider.clusters() == []
        assert services.sessions.current("ada", "first") == services.sessions.last("ada", "first")

    def test_a_failure_says_why_and_is_retried(self, make: Make, tmp_path: Path) -> None:
        provider = BrokenHalfwayProvider(tmp_path / "broken")
        services = make(provider)
        failed = ready(services)
        assert (failed.state, failed.fix) == ("failed", "docker pull web:1.0")
        assert "cannot be pulled" in failed.detail
        assert [step.state for step in failed.steps] == ["done", "failed"]
        with pytest.raises(NotNow, match="cannot be pulled"):
            services.sessions.check(failed.id, "ada")
        provider.broken = False
        again = ready(services)
        assert (again.id, again.state, again.detail) == (failed.id, "ready", "")

    def test_a_cluster_that_vanished_is_made_anew(self, services: Kindling, provider: MemoryProvider) -> None:
        first = ready(services)
        for path in provider.folder.glob("*"):
            path.unlink()
        assert services.sessions.observe(first.id, "ada").detail == "Its cluster is gone."
        assert ready(services).state == "ready"
        assert len(provider.clusters()) == 1


class TestStop:
    def test_removes_and_ends(self, services: Kindling, provider: MemoryProvider) -> None:
        session = ready(services)
        view = services.sessions.wait(services.sessions.stop(session.id, "ada").id)
        assert (view.state, view.live, view.seconds_left) == ("stopped", False, 0.0)
        assert provider.clusters() == []
        assert services.sessions.current("ada", "first") is None
        assert services.sessions.stop(session.id, "ada").state == "stopped"

    def test_while_starting_leaves_nothing(self, make: Make, tmp_path: Path) -> None:
        provider = SlowProvider(tmp_path / "slow")
        services = make(provider)
        session = services.sessions.start("ada", "first")
        driver = threading.Thread(target=services.sessions.wait, args=(session.id,))
        driver.start()
        assert provider.reached.wait(20)
        assert services.sessions.stop(session.id, "ada").state == "stopping"
        provider.go.set()
        view = services.sessions.wait(session.id)
        driver.join()
        assert view.state == "stopped"
        assert provider.clusters() == []
        assert [line.split()[0] for line in provider.log] == ["create", "delete"]

    def test_while_grading_ends_the_attempt_uncounted(
        self, services: Kindling, grader: ScriptedGrader, provider: MemoryProvider
    ) -> None:
        session = ready(services)
        attempt = services.sessions.check(session.id, "ada")
        grader.during = lambda _: services.sessions.stop(session.id, "ada") and None
        done = services.sessions.follow(attempt.id, "ada")
        assert (done.outcome, done.counted) == ("ungradable", False)
        assert services.sessions.view(session.id, "ada").state == "stopped"
        assert provider.clusters() == []

    def test_what_cannot_be_removed_is_said_and_tried_again(self, make: Make, tmp_path: Path) -> None:
        provider = StubbornProvider(tmp_path / "stubborn")
        services = make(provider)
        session = ready(services)
        view = services.sessions.wait(services.sessions.stop(session.id, "ada").id)
        assert view.state == "failed"
        assert "the node does not let go" in view.detail
        again = ready(services)  # nobody has to wait for that
        assert (again.state, again.id != session.id) == ("ready", True)
        assert services.sessions.view(session.id, "ada").state == "stopping"
        provider.stubborn = False
        services.sessions.reconcile()
        assert services.sessions.view(session.id, "ada").state == "stopped"
        assert services.sessions.view(again.id, "ada").state == "ready"
        assert len(provider.clusters()) == 1


class TestReset:
    def test_returns_to_the_start_and_keeps_attempts(self, services: Kindling, provider: MemoryProvider) -> None:
        session = ready(services)
        graded(services, session)
        assert services.sessions.reset(session.id, "ada").state == "resetting"
        view = services.sessions.wait(session.id)
        assert (view.state, view.attempts, view.best_score) == ("ready", 1, 10)
        assert provider.log[-1].startswith("reset")

    def test_twice_is_one_reset(self, services: Kindling, provider: MemoryProvider) -> None:
        session = ready(services)
        services.sessions.reset(session.id, "ada")
        services.sessions.reset(session.id, "ada")
        services.sessions.wait(session.id)
        assert [line.split()[0] for line in provider.log] == ["create", "reset"]

    def test_not_while_starting_or_checking(self, services: Kindling) -> None:
        session = services.sessions.start("ada", "first")
        with pytest.raises(NotNow, match="while it is provisioning"):
            services.sessions.reset(session.id, "ada")
        services.sessions.wait(session.id)
        services.sessions.check(session.id, "ada")
        with pytest.raises(NotNow, match="being checked"):
            services.sessions.reset(session.id, "ada")


class TestTime:
    def test_expires_and_is_removed(self, services: Kindling, clock: ManualClock, provider: MemoryProvider) -> None:
        session = ready(services)
        assert session.seconds_left == 80 * 60
        clock.pass_time(minutes=81)
        services.sessions.reconcile()
        view = services.sessions.view(session.id, "ada")
        assert (view.state, view.ended_at, provider.clusters()) == ("expired", clock.at, [])

    def test_who_works_is_not_thrown_out(self, services: Kindling, clock: ManualClock) -> None:
        session = ready(services)
        clock.pass_time(minutes=70)
        services.sessions.active("ada", "first", "kubectl")
        services.sessions.close()
        assert services.sessions.view(session.id, "ada").seconds_left == 30 * 60

    def test_extend_gives_the_full_time(self, services: Kindling, clock: ManualClock) -> None:
        session = ready(services)
        clock.pass_time(minutes=50)
        assert services.sessions.extend(session.id, "ada").seconds_left == 80 * 60
        services.sessions.wait(services.sessions.stop(session.id, "ada").id)
        with pytest.raises(NotNow, match="has ended"):
            services.sessions.extend(session.id, "ada")


class TestCheck:
    def test_passes_and_counts(self, services: Kindling, grader: ScriptedGrader, provider: MemoryProvider) -> None:
        session = ready(services)
        attempt = services.sessions.check(session.id, "ada")
        assert (attempt.state, attempt.number) == ("wanted", 1)
        assert [(one.name, one.title, one.state) for one in attempt.checks] == [
            ("first", "The first thing", "waiting"),
            ("second", "The second thing", "waiting"),
        ]
        states: list[list[str]] = []
        done = services.sessions.follow(attempt.id, "ada", lambda a: states.append([c.state for c in a.checks]))
        assert (done.state, done.outcome, done.counted, done.score, done.max_score) == ("done", "passed", True, 10, 10)
        assert ["running", "waiting"] in states
        assert ["done", "running"] in states
        request = grader.requests[0]
        assert request.kubeconfig.startswith("# grader of kindling-first-")
        assert (request.parameters, request.seconds, request.namespace) == (session.parameters, 60, "default")
        assert services.sessions.view(session.id, "ada").best_score == 10

    def test_partial_credit_and_best(self, services: Kindling, grader: ScriptedGrader) -> None:
        session = ready(services)
        grader.outcomes = {"second": Outcome.FAILED}
        first = graded(services, session)
        assert (first.outcome, first.score) == ("failed", 3)
        assert first.checks[1].message == "expected second, found nothing\N{REPLACEMENT CHARACTER}"
        assert first.checks[1].evidence == []
        grader.outcomes = {"first": Outcome.FAILED, "second": Outcome.FAILED}
        assert graded(services, session).number == 2
        view = services.sessions.view(session.id, "ada")
        assert (view.best_score, view.attempts) == (3, 2)
        assert [attempt.number for attempt in services.sessions.attempts("ada", "first")] == [2, 1]

    def test_two_at_once_is_one_attempt(self, services: Kindling, grader: ScriptedGrader) -> None:
        session = ready(services)
        barrier, found = threading.Barrier(6), []

        def go() -> None:
            barrier.wait()
            attempt = services.sessions.check(session.id, "ada")
            found.append(services.sessions.follow(attempt.id, "ada"))

        grader.during = lambda _: barrier.wait() and None if barrier.n_waiting else None
        threads = [threading.Thread(target=go) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ids = {attempt.id for attempt in found}
        assert len(found) == 6
        assert len(ids) == len(grader.requests)
        assert all(attempt.outcome == "passed" for attempt in found)

    def test_handing_in_while_one_waits_gives_the_same(self, services: Kindling) -> None:
        session = ready(services)
        assert services.sessions.check(session.id, "ada").id == services.sessions.check(session.id, "ada").id

    def test_ungradable_is_not_counted(self, services: Kindling, grader: ScriptedGrader) -> None:
        session = ready(services)
        grader.outcomes = {"first": Outcome.UNGRADABLE}
        done = graded(services, session)
        assert (done.outcome, done.counted, done.cause) == ("ungradable", False, "")
        assert "does not count" in done.detail
        view = services.sessions.view(session.id, "ada")
        assert (view.attempts, view.best_score) == (0, None)
        assert services.reports.attempt(None, done.id).cause == "broken"

    def test_a_grader_that_crashes_is_ungradable(self, make: Make, provider: MemoryProvider) -> None:
        services = make(provider, CrashingGrader())
        done = graded(services, ready(services))
        assert (done.outcome, done.counted) == ("ungradable", False)
        assert services.reports.attempt(None, done.id).cause == "RuntimeError: out of memory"
        assert provider.log[-1] == "heal"

    def test_ctrl_c_ends_the_attempt(self, make: Make, provider: MemoryProvider) -> None:
        services = make(provider, InterruptedGrader())
        session = ready(services)
        attempt = services.sessions.check(session.id, "ada")
        with pytest.raises(KeyboardInterrupt):
            services.sessions.follow(attempt.id, "ada")
        done = services.sessions.attempt(attempt.id, "ada")
        assert (done.state, done.outcome, done.counted) == ("done", "ungradable", False)
        assert [one.outcome for one in done.checks] == ["ungradable", "ungradable"]

    def test_a_cluster_that_is_gone_is_ungradable(self, services: Kindling, provider: MemoryProvider) -> None:
        session = ready(services)
        for path in provider.folder.glob("*"):
            path.unlink()
        done = graded(services, session)
        assert (done.outcome, done.counted) == ("ungradable", False)
        assert "cluster cannot be reached" in done.detail

    def test_an_attempt_whose_process_died_again_is_closed_and_healed(
        self, services: Kindling, provider: MemoryProvider, grader: ScriptedGrader
    ) -> None:
        session = ready(services)
        attempt = services.sessions.check(session.id, "ada")
        with services.records.begin() as tx:
            row = tx.get_one(Attempt, attempt.id)
            row.state, row.regraded = "running", True
        services.sessions.reconcile()
        done = services.sessions.attempt(attempt.id, "ada")
        assert (done.state, done.outcome, done.counted) == ("done", "ungradable", False)
        assert provider.log[-1] == "heal"
        assert grader.cleaned == ["default"]

    def test_an_attempt_that_never_began_is_graded(self, services: Kindling) -> None:
        session = ready(services)
        attempt = services.sessions.check(session.id, "ada")
        services.sessions.wake(session.id)
        assert services.sessions.follow(attempt.id, "ada").outcome == "passed"

    def test_not_before_it_is_ready(self, services: Kindling) -> None:
        session = services.sessions.start("ada", "first")
        with pytest.raises(NotNow, match="first is provisioning") as refused:
            services.sessions.check(session.id, "ada")
        assert refused.value.fix == "kindling start first"


class TestHints:
    def test_in_order_of_strength_then_the_next_check(self, services: Kindling, grader: ScriptedGrader) -> None:
        session = ready(services)
        app = session.parameters["app"]
        shown = [services.sessions.hint(session.id, "ada") for _ in range(4)]
        assert [(one.check, one.number, one.new, one.more) for one in shown] == [
            ("first", 1, True, True),
            ("first", 2, True, False),
            ("second", 1, True, False),
            ("second", 1, False, False),
        ]
        assert shown[0].text == f"Look at {app}."
        assert services.sessions.view(session.id, "ada").hints_taken == 3

    def test_skips_what_is_passed(self, services: Kindling, grader: ScriptedGrader) -> None:
        session = ready(services)
        grader.outcomes = {"second": Outcome.FAILED}
        graded(services, session)
        assert services.sessions.hint(session.id, "ada").check == "second"

    def test_unknown_check(self, services: Kindling) -> None:
        session = ready(services)
        with pytest.raises(NotFound, match="checks with hints: first, second"):
            services.sessions.hint(session.id, "ada", "third")


class TestOthers:
    def test_nothing_of_another_learners(self, services: Kindling) -> None:
        services.accounts.ensure("eve")
        session = ready(services)
        attempt = graded(services, session)
        sessions = services.sessions
        calls = (
            lambda: sessions.view(session.id, "eve"),
            lambda: sessions.kubeconfig(session.id, "eve"),
            lambda: sessions.check(session.id, "eve"),
            lambda: sessions.reset(session.id, "eve"),
            lambda: sessions.stop(session.id, "eve"),
            lambda: sessions.extend(session.id, "eve"),
            lambda: sessions.hint(session.id, "eve"),
            lambda: sessions.observe(session.id, "eve"),
            lambda: sessions.attempt(attempt.id, "eve"),
            lambda: sessions.follow(attempt.id, "eve"),
        )
        for call in calls:
            with pytest.raises(NotFound):
                call()
        assert sessions.all("eve") == []
        assert sessions.attempts("eve", "first") == []

    def test_kubeconfig_is_the_learners(self, services: Kindling) -> None:
        session = ready(services)
        assert services.sessions.kubeconfig(session.id, "ada").startswith("# learner of")

    def test_a_lab_that_broke_meanwhile_can_still_be_seen_and_stopped(self, services: Kindling, catalog: Path) -> None:
        session = ready(services)
        graded(services, session)
        (catalog / "first" / "lab.yaml").write_text("title: [")
        assert services.sessions.view(session.id, "ada").max_score == 10
        assert services.sessions.wait(services.sessions.stop(session.id, "ada").id).state == "stopped"


def test_reconcile_in_the_background_finishes_what_was_begun(services: Kindling) -> None:
    session = services.sessions.start("ada", "first")
    services.sessions.reconcile(background=True)
    assert services.sessions.wait(session.id).state == "ready"


def test_the_site_notices_a_cluster_that_vanished(
    services: Kindling, provider: MemoryProvider, clock: ManualClock
) -> None:
    session = ready(services)
    services.sessions.reconcile(background=True)
    for path in provider.folder.glob("*"):
        path.unlink()
    services.sessions.reconcile(background=True)
    assert services.sessions.view(session.id, "ada").state == "ready"  # it looked a moment ago
    clock.pass_time(seconds=31)
    services.sessions.reconcile(background=True)
    assert services.sessions.view(session.id, "ada").state == "failed"


def test_the_site_says_at_once_that_clusters_are_away_and_takes_it_back(make: Make, tmp_path: Path) -> None:
    provider = EndedProvider(tmp_path / "ended")
    services = make(provider)
    services.accounts.ensure("bob")
    mine, other = ready(services), services.sessions.wait(services.sessions.start("bob", "first").id)
    services.sessions.reconcile(background=True)  # looks at all, and not again for a while

    def details() -> list[str]:
        found = [services.sessions.view(mine.id, "ada"), services.sessions.view(other.id, "bob")]
        return [one.detail for one in found if one.state == "ready"]

    provider.ended, provider.look = True, lambda: repr(details())
    services.sessions.reconcile(background=True)
    assert provider.seen == [repr([AWAY, AWAY])]
    assert details() == ["", ""]


def test_what_does_not_come_back_is_tried_now_and_then_and_once_for_all(
    make: Make, tmp_path: Path, clock: ManualClock
) -> None:
    provider = EndedProvider(tmp_path / "ended")
    services = make(provider)
    services.accounts.ensure("bob")
    for learner in ("ada", "bob"):
        services.sessions.wait(services.sessions.start(learner, "first").id)
    services.sessions.reconcile(background=True)
    provider.ended = provider.gone = True
    for _ in range(3):
        services.sessions.reconcile(background=True)
    assert len(provider.seen) == 1
    clock.pass_time(seconds=31)
    services.sessions.reconcile(background=True)
    assert len(provider.seen) == 2
    said = [services.sessions.last(learner, "first") for learner in ("ada", "bob")]
    assert sorted(one.detail for one in said if one is not None) == sorted(["the host did not start", AWAY])


def test_reconcile_of_a_command_leaves_the_slow_work(services: Kindling, provider: MemoryProvider) -> None:
    services.sessions.start("ada", "first")
    services.sessions.reconcile()
    assert provider.log == []


def test_the_cluster_is_named_before_it_is_made(services: Kindling) -> None:
    session = services.sessions.start("ada", "first")
    with services.records.read() as tx:
        row = tx.get_one(Session, session.id)
        assert row.handle == {"name": row.cluster}
        assert len(row.cluster) <= 40


def test_faults_are_those_the_lab_lists(make: Make, catalog: Path, tmp_path: Path, grader: ScriptedGrader) -> None:
    write_lab(catalog, "hard", LAB_YAML.replace("{nodes: 1}", "{faults: [kill-container]}"))
    services = make(MemoryProvider(tmp_path / "m"))
    graded(services, ready(services, lab="hard"))
    assert grader.requests[0].faults == [Fault.KILL_CONTAINER]
