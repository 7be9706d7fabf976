"""What is taken from under a check: the simulation host, which costs the learner nothing but time, and by the learner's
own hand a component, which costs them the attempt."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader import poll
from grader.connection import Connection
from grader.objects import Pod
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
    """An installation with a host of its own, and a lab besides those that there are."""
    for name, text in FRAGILE.items():
        file = tmp_path / "catalog" / "fragile" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    own = {"KINDLING_HOME": str(tmp_path), "KINDLING_CATALOGS": str(tmp_path / "catalog")}
    made = bootstrap(settings.load({**os.environ, **own}))
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


FRAGILE = {
    "lab.yaml": """\
title: Fragile
goal: Be there.
level: beginner
minutes: 5
points: 1
needs: {nodes: 1, faults: [kill-container]}
images: ["kindling/web:1.0"]
limit: 120
""",
    "checks.py": """\
from grader import check


@check(points=1, title="It is ready, also when it was killed")
def test_ready(cluster, faults):
    pod = cluster.pod("web")
    assert pod.ready
    if not pod.restarts:
        faults.kill_container(pod)
""",
    "instructions.md": "# Nothing to do\n",
    "setup/web.yaml": """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  readinessGates: [{conditionType: example.com/open}]
  containers: [{name: web, image: "kindling/web:1.0"}]
""",
}
"""A pod that is ready when the test says so, however long anything takes; a check kills its process once."""
WEB = "/api/v1/namespaces/default/pods/web"


def open_gate(connection: Connection, status: str) -> None:
    gate = {"type": "example.com/open", "status": status}
    connection.patch(f"{WEB}/status", {"status": {"conditions": [gate]}}, "strategic-merge-patch")


def test_what_the_interrupted_grading_killed_is_waited_for(kindling: Kindling, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second grading would find it away; in place, that is."""
    kindling.accounts.ensure("ada")
    session = kindling.sessions.wait(kindling.sessions.start("ada", "fragile", "simulated").id).id
    connection = Connection(kindling.sessions.kubeconfig(session, "ada"))
    open_gate(connection, "True")
    poll(lambda: Pod(connection.get(WEB)).ready, 60)
    provider, fork = kindling.providers.get("simulated"), Zygote.fork
    faults, workers = provider.faults, list[Worker]()

    def recorded(zygote: Zygote, what: bytes = GRADE) -> Worker:
        forked = fork(zygote, what)
        if what == GRADE:
            workers.append(forked)
        return forked

    class KillsItsGrader:
        """The grading process ends as soon as it has had a container killed, which is not ready until it is mended."""

        def __init__(self, handle: Handle) -> None:
            self._faults = faults(handle)

        def inject(self, fault: Fault, target: str) -> None:
            self._faults.inject(fault, target)
            if fault is Fault.KILL_CONTAINER:
                open_gate(connection, "False")
                os.kill(workers[-1].pid, signal.SIGKILL)

        def heal(self) -> None:
            self._faults.heal()

    monkeypatch.setattr(Zygote, "fork", recorded)
    monkeypatch.setattr(provider, "faults", KillsItsGrader)
    monkeypatch.setattr(provider, "fork", refuse_to_fork)
    waited: list[int] = []

    def on_change(view: AttemptView) -> None:
        if view.detail == MENDING and not waited:
            waited.append(len(workers))
            open_gate(connection, "True")

    done = kindling.sessions.follow(kindling.sessions.check(session, "ada").id, "ada", on_change)
    assert (done.outcome, done.counted, done.score) == ("passed", True, done.max_score)
    assert (waited, len(workers)) == ([1], 2)


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
