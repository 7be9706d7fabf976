"""Graded on forks, with real labs: the verdict of one cluster, again and again, while the learner goes on working."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grader.connection import Connection
from grader.protocol import GradeRequest, Verdict
from labs import forks, settings
from labs.bootstrap import Kindling, bootstrap
from labs.clusters.provider import Fault, Handle
from labs.definition import Lab, State
from labs.grading import ProcessGrader, request_for
from labs.library import Library
from labs.records.models import Session
from labs.replay import carry_out, choose
from simkube.host import launcher

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = Library(settings.load({"KINDLING_HOME": os.devnull, "PATH": os.environ["PATH"]}).catalogs)
LEFT_SECONDS = 60.0
"""A fork that nobody asks for anything ends after 30."""
SEEN = ("pods", "deployments", "replicasets", "services", "configmaps", "events")


def comes_out(state: State, outcome: str) -> set[str]:
    """The checks that come out like this in a state."""
    return {name for name, one in state.file.expected_on("simulated").items() if one == outcome}


def telling(lab: Lab) -> list[str]:
    """The solved state, and for each check one in which it fails and as many others as possible pass: what it breaks
    and leaves when it fails must change none of these."""
    chosen = ["solved"]
    for check in comes_out(choose(lab, "solved")[0], "passed"):
        failing = [state for state in lab.states if check in comes_out(state, "failed")]
        chosen.append(max(failing, key=lambda state: (len(comes_out(state, "passed")), state.name)).name)
    return sorted(set(chosen))


STATES = [(lab.name, name) for lab in LIBRARY.all() for name in telling(lab)]


@pytest.fixture(scope="module")
def kindling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kindling]:
    """An installation with a host of its own."""
    home = tmp_path_factory.mktemp("home")
    made = bootstrap(settings.load({**os.environ, "KINDLING_HOME": str(home)}))
    made.accounts.ensure("ada")
    yield made
    made.close()
    launcher.shutdown(home / "simkube")


def brought_into(kindling: Kindling, lab_name: str, state_name: str) -> str:
    """A session of that lab in that state, brought there from its start."""
    there = kindling.sessions.current("ada", lab_name)
    if there is None:
        session = kindling.sessions.wait(kindling.sessions.start("ada", lab_name, "simulated").id)
    else:
        session = kindling.sessions.wait(kindling.sessions.reset(there.id, "ada").id)
    lab = kindling.labs.get(lab_name)
    (state,) = choose(lab, state_name)
    kubeconfig = kindling.sessions.kubeconfig(session.id, "ada")
    carry_out(lab, state, session.parameters, kubeconfig, kindling.settings.kubectl)
    return session.id


def handle_of(kindling: Kindling, session: str) -> Handle:
    with kindling.records.read() as tx:
        return dict(tx.get_one(Session, session).handle)


def request_of(kindling: Kindling, session: str) -> GradeRequest:
    view = kindling.sessions.view(session, "ada")
    return request_for(kindling.labs.get(view.lab), view.parameters, "simulated")


def outcomes(verdict: Verdict) -> dict[str, str]:
    return {one.name: str(one.outcome) for one in verdict.checks}


def one_after_the_other(kindling: Kindling, grader: ProcessGrader, handle: Handle, request: GradeRequest) -> Verdict:
    """As in place: one process, one cluster, which is put right between checks; on a fork, so that it is quick."""
    with forks.handed_in(kindling.providers.get("simulated"), handle, request.seconds) as hand_in:
        assert hand_in is not None
        with hand_in.copy() as (kubeconfig, faults):
            whole = replace(request, kubeconfig=kubeconfig, time="cluster")
            return grader.grade(whole, lambda _: None, faults, lambda: False)


@pytest.mark.parametrize(("lab", "state"), STATES)
def test_verdicts_on_forks_are_those_of_one_cluster(
    kindling: Kindling, grader: ProcessGrader, lab: str, state: str
) -> None:
    session = brought_into(kindling, lab, state)
    handle, request = handle_of(kindling, session), request_of(kindling, session)
    side_by_side = outcomes(forks.grade(grader, kindling.providers.get("simulated"), handle, request))
    assert side_by_side == outcomes(one_after_the_other(kindling, grader, handle, request))
    (expected,) = choose(kindling.labs.get(lab), state)
    assert side_by_side == {name: str(one) for name, one in expected.file.expected_on("simulated").items()}


@pytest.mark.parametrize("lab", [lab.name for lab in LIBRARY.all()])
def test_a_second_check_of_an_unchanged_state_gives_the_same_score(kindling: Kindling, lab: str) -> None:
    session = brought_into(kindling, lab, "solved")
    done = [kindling.sessions.follow(kindling.sessions.check(session, "ada").id, "ada") for _ in range(3)]
    assert [(one.outcome, one.score) for one in done] == [("passed", done[0].max_score)] * 3


@pytest.mark.parametrize("lab", [lab.name for lab in LIBRARY.all()])
def test_a_second_check_of_an_unchanged_state_gives_the_same_score_in_place(
    kindling: Kindling, grader: ProcessGrader, lab: str
) -> None:
    """One cluster, which is put right between checks and between attempts; a fork, so that its time need not pass."""
    session = brought_into(kindling, lab, "solved")
    provider, request = kindling.providers.get("simulated"), request_of(kindling, session)
    with forks.handed_in(provider, handle_of(kindling, session), request.seconds) as hand_in:
        assert hand_in is not None
        with hand_in.copy() as (kubeconfig, faults):
            whole = replace(request, kubeconfig=kubeconfig, time="cluster")
            done = [
                grader.grade(replace(whole, attempt=f"attempt-{each}"), lambda _: None, faults, lambda: False)
                for each in range(3)
            ]
    assert [(one.outcome, one.score) for one in done] == [("passed", done[0].max_score)] * 3, done[-1].checks


class Learner:
    """Works in a cluster while it is graded: asks for its pods again and again, and how long that took."""

    def __init__(self, kubeconfig: str) -> None:
        self.connection = Connection(kubeconfig, patience=0.0)
        self.answers: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Learner:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._over.wait(0.02):
            self.answers.append(len(self.connection.get("/api/v1/namespaces/default/pods")["items"]))

    def seen(self) -> dict[str, list[Any]]:
        """All objects of the namespace, and the namespaces there are."""
        found: dict[str, list[Any]] = {"namespaces": self.connection.get("/api/v1/namespaces")["items"]}
        for kind in SEEN:
            group = "apis/apps/v1" if kind in ("deployments", "replicasets") else "api/v1"
            found[kind] = self.connection.get(f"/{group}/namespaces/default/{kind}")["items"]
        return found


def at_rest(learner: Learner) -> dict[str, list[Any]]:
    """What there is, once nothing has changed for a second."""
    seen: dict[str, list[Any]] = {}
    for _ in range(60):
        before, seen = seen, learner.seen()
        if seen == before:
            return seen
        time.sleep(1.0)  # the learner's own cluster runs at the speed of the wall clock
    raise AssertionError("the cluster does not come to rest")


def test_a_learner_goes_on_working_in_a_cluster_that_nobody_touches(kindling: Kindling) -> None:
    session = brought_into(kindling, "self-healing", "solved")
    controls = kindling.sessions.controls(session, "ada")
    with Learner(kindling.sessions.kubeconfig(session, "ada")) as learner:
        before, trace = at_rest(learner), controls.trace()["last"]
        controls.clock({"speed": 2})
        done = kindling.sessions.follow(kindling.sessions.check(session, "ada").id, "ada")
        after, speed = learner.seen(), controls.clock()["speed"]
        changes = [one["text"] for one in controls.trace(trace)["entries"] if "lease" not in one["resource"]]
    assert (done.outcome, done.score) == ("passed", done.max_score)
    assert after == before
    assert changes == []
    assert speed == 2
    assert set(learner.answers) == {len(before["pods"])}


def test_what_the_learner_does_meanwhile_does_not_change_the_grade(kindling: Kindling) -> None:
    session = brought_into(kindling, "services", "solved")
    connection = Connection(kindling.sessions.kubeconfig(session, "ada"))
    torn: list[str] = []

    def on_change(view: Any) -> None:
        """Tear everything down as soon as the first check has begun."""
        if not torn and any(one.state == "running" for one in view.checks):
            for one in connection.get("/apis/apps/v1/namespaces/default/deployments")["items"]:
                torn.append(one["metadata"]["name"])
                connection.delete(f"/apis/apps/v1/namespaces/default/deployments/{torn[-1]}")

    done = kindling.sessions.follow(kindling.sessions.check(session, "ada").id, "ada", on_change)
    assert torn
    assert (done.outcome, done.score) == ("passed", done.max_score)


def test_what_the_learner_has_stopped_stays_stopped_there_and_is_theirs(kindling: Kindling) -> None:
    session = brought_into(kindling, "services", "solved")
    controls = kindling.sessions.controls(session, "ada")
    controls.components({"stop": "kube-apiserver"})
    done = kindling.sessions.follow(kindling.sessions.check(session, "ada").id, "ada")
    stopped = [name for name, runs in controls.components()["components"].items() if not runs]
    controls.components({"start": "kube-apiserver"})
    assert (done.outcome, done.counted, done.score) == ("failed", True, 0)
    assert "Observed: stopped: kube-apiserver" in done.checks[0].message
    assert stopped == ["kube-apiserver"]


def below_host(kindling: Kindling) -> set[int]:
    """The processes of the host: its workers, and forks of clusters."""
    host = launcher.running(kindling.settings.home / "simkube")
    assert host is not None
    found, left = set[int](), [int(host.health()["pid"])]
    while left:
        pid = left.pop()
        found.add(pid)
        for file in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                left += map(int, file.read_text().split())
    return found


HANDS_IN = """
import os, sys
from labs import settings
from labs.bootstrap import bootstrap
kindling = bootstrap(settings.load(dict(os.environ)))
def told(view):
    if any(one.state == "running" for one in view.checks):
        print("running", flush=True)
kindling.sessions.follow(kindling.sessions.check(sys.argv[1], "ada").id, "ada", told)
"""


def test_an_attempt_that_is_killed_leaves_nothing_and_is_graded_again(kindling: Kindling) -> None:
    """``kill -9`` of whoever grades: forks and grading processes end, and the learner's stops are not undone."""
    session = brought_into(kindling, "self-healing", "solved")
    provider, handle = kindling.providers.get("simulated"), handle_of(kindling, session)
    environment = {**os.environ, "KINDLING_HOME": str(kindling.settings.home), "PYTHONPATH": str(ROOT)}
    before = below_host(kindling)
    hands_in = subprocess.Popen(
        [sys.executable, "-c", HANDS_IN, session], env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    with hands_in:
        assert hands_in.stdout is not None
        assert hands_in.stdout.readline() == "running\n"
        hands_in.send_signal(signal.SIGKILL)
    provider.faults(handle).inject(Fault.STOP_COMPONENT, "kube-scheduler")
    learner = Learner(kindling.sessions.kubeconfig(session, "ada"))
    attempt = kindling.sessions.attempts("ada", "self-healing", 1)[0]
    assert attempt.state == "running"
    kindling.sessions.follow(attempt.id, "ada")
    components = kindling.sessions.controls(session, "ada").components()["components"]
    assert components["kube-scheduler"] is False
    provider.faults(handle).heal()
    namespaces = [one["metadata"]["name"] for one in learner.seen()["namespaces"]]
    assert not [one for one in namespaces if one.startswith("kindling-probe")], json.dumps(namespaces)
    assert kindling.sessions.attempts("ada", "self-healing", 2)[0].number == attempt.number
    deadline = time.monotonic() + LEFT_SECONDS
    while below_host(kindling) - before:
        assert time.monotonic() < deadline, "a fork is left"
        time.sleep(0.2)  # polling what the kernel knows
