"""What is taken from under a check: the simulation host, which costs the learner nothing but time, and by the learner's
own hand a component, which costs them the attempt."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.processes import GRADE, Worker, Zygote
from labs import settings
from labs.bootstrap import Kindling, bootstrap
from labs.clusters.provider import CannotFork, Fault, Handle
from labs.replay import carry_out
from labs.session import AttemptView
from labs.session.ends import MENDING
from simkube.host import launcher

LAB = "services"


@pytest.fixture
def kindling(tmp_path: Path) -> Iterator[Kindling]:
    """An installation with a host of its own."""
    made = bootstrap(settings.load({**os.environ, "KINDLING_HOME": str(tmp_path)}))
    yield made
    made.close()
    launcher.shutdown(tmp_path / "simkube")


def solved(kindling: Kindling, name: str = LAB) -> str:
    kindling.accounts.ensure("ada")
    session = kindling.sessions.wait(kindling.sessions.start("ada", name, "simulated").id)
    lab = kindling.labs.get(name)
    state = next(state for state in lab.states if state.name == "solved")
    carry_out(
        lab, state, session.parameters, kindling.sessions.kubeconfig(session.id, "ada"), kindling.settings.kubectl
    )
    return session.id


@pytest.mark.parametrize("kills", [1, 2])
def test_it_is_graded_again_by_itself_once(kindling: Kindling, tmp_path: Path, kills: int) -> None:
    session, killed = solved(kindling), []

    def on_change(view: AttemptView) -> None:
        """Kill it when a check of a grading is done and another is not."""
        if len(killed) < kills and {"done", "running"} <= {one.state for one in view.checks}:
            host = launcher.running(tmp_path / "simkube")
            assert host is not None
            killed.append(host.health()["pid"])
            os.kill(killed[-1], signal.SIGKILL)

    done = kindling.sessions.follow(kindling.sessions.check(session, "ada").id, "ada", on_change)
    assert len(set(killed)) == kills
    if kills == 1:
        assert (done.outcome, done.counted, done.score) == ("passed", True, done.max_score)
    else:
        assert (done.outcome, done.counted) == ("ungradable", False)
        assert "interrupted twice by something that is not yours" in done.detail


def refuse_to_fork(handle: Handle, seconds: float) -> Handle:
    raise CannotFork(f"{handle['name']} is not copied for {seconds:g} s here")


def test_what_the_interrupted_grading_killed_is_waited_for(kindling: Kindling, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second grading would find the writer in its back-off, and its page unchanged; in place, that is."""
    session, workers, killed = solved(kindling, "pods"), [], []
    provider, fork = kindling.providers.get("simulated"), Zygote.fork
    faults = provider.faults

    def recorded(zygote: Zygote, what: bytes = GRADE) -> Worker:
        forked = fork(zygote, what)
        if what == GRADE:
            workers.append(forked)
        return forked

    class KillsItsGrader:
        """The grading process ends as soon as it has had a container killed in the second attempt, once."""

        def __init__(self, handle: Handle) -> None:
            self._faults = faults(handle)

        def inject(self, fault: Fault, target: str) -> None:
            self._faults.inject(fault, target)
            if fault is Fault.KILL_CONTAINER and len(workers) == 2 and not killed:
                killed.append(target)
                os.kill(workers[-1].pid, signal.SIGKILL)

        def heal(self) -> None:
            self._faults.heal()

    monkeypatch.setattr(Zygote, "fork", recorded)
    monkeypatch.setattr(provider, "faults", KillsItsGrader)
    monkeypatch.setattr(provider, "fork", refuse_to_fork)
    told: list[str] = []
    for _ in range(2):
        attempt = kindling.sessions.check(session, "ada").id
        done = kindling.sessions.follow(attempt, "ada", lambda view: told.append(view.detail))
        assert (done.outcome, done.counted, done.score) == ("passed", True, done.max_score)
    assert (len(killed), len(workers)) == (1, 3)
    assert MENDING in told


@pytest.mark.parametrize("component", ["kube-apiserver", "etcd"])
def test_whoever_stops_their_own_control_plane_has_failed(kindling: Kindling, component: str) -> None:
    session = solved(kindling)
    view = kindling.sessions.view(session, "ada")
    kindling.sessions.controls(view.id, "ada").components({"stop": component})
    done = kindling.sessions.follow(kindling.sessions.check(session, "ada").id, "ada")
    assert (done.outcome, done.counted, done.score) == ("failed", True, 0)
    assert {one.message for one in done.checks} == {
        f"Expected: every component of the cluster to run\nObserved: stopped: {component}\nLook: kindling components"
    }
