"""What is done to containers: asked of the session, undone, and never a way out for who owns them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from grader.cluster import Cluster
from grader.connection import Connection
from grader.errors import CheckFailed, FaultUnavailable
from grader.evidence import Evidence
from grader.faults import REPORT_SECONDS, Faults
from grader.objects import Pod
from tests.doubles.api_server import CORE, pod
from tests.doubles.clock import SteppedClock

WEB = "default/web/web"
WAITING = {"waiting": {"reason": "CrashLoopBackOff"}}
FREEZE, THAW, HEAL = ("freeze-container", WEB), ("thaw-container", WEB), ("heal", "")


class Session:
    """Carries faults out. ``lost``: it finds no container, for so many times."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.lost = 0
        self.on_lost: Callable[[], object] = lambda: None

    def ask(self, fault: str, target: str) -> None:
        if self.lost and fault != "heal":
            self.lost -= 1
            self.on_lost()
            raise LookupError("it does not run")
        self.asked.append((fault, target))


@pytest.fixture
def session() -> Session:
    return Session()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def evidence(clock: SteppedClock) -> Evidence:
    return Evidence(clock)


@pytest.fixture
def faults(scripted: Any, session: Session, clock: SteppedClock, evidence: Evidence) -> Faults:
    scripted.objects[f"{CORE}/pods/web"] = pod()
    return Faults(Cluster(Connection(scripted.kubeconfig), "default"), None, session.ask, evidence, clock)


def test_a_frozen_container_is_let_go_on_when_the_check_ends(
    faults: Faults, session: Session, clock: SteppedClock, evidence: Evidence
) -> None:
    frozen = faults.freeze_container(Pod(pod()), "web")
    assert (frozen.fault, frozen.target, frozen.t, frozen.uid) == (
        "freeze-container",
        "web/web",
        clock.now(),
        "uid-web",
    )
    assert [(one["what"], one["target"]) for one in evidence.entries] == [("fault", "web/web")]
    faults.undo()
    faults.undo()
    assert session.asked == [FREEZE, HEAL]


def test_thawed_before_the_end_it_is_healed_all_the_same(faults: Faults, session: Session) -> None:
    faults.freeze_container(Pod(pod()), "web")
    faults.thaw_container(Pod(pod()), "web")
    faults.undo()
    assert session.asked == [FREEZE, THAW, HEAL]


def test_a_frozen_container_that_has_ended_needs_no_thaw(faults: Faults, session: Session) -> None:
    faults.freeze_container(Pod(pod()), "web")
    session.lost = 1
    faults.thaw_container(Pod(pod()), "web")
    faults.undo()
    assert session.asked == [FREEZE, HEAL]


@pytest.mark.parametrize("act", [Faults.freeze_container, Faults.kill_container])
@pytest.mark.parametrize(
    ("becomes", "observed"),
    [
        (pod(state=WAITING, ready=False), "pod web is waiting (CrashLoopBackOff)"),
        (pod(meta={"uid": "another"}), "the pod is gone"),
        (None, "the pod is gone"),
    ],
)
def test_a_container_that_does_not_run_is_the_learners(
    scripted: Any,
    faults: Faults,
    session: Session,
    act: Callable[[Faults, Pod, str], object],
    becomes: Any,
    observed: str,
) -> None:
    """Reported by its kubelet a moment after it has ended."""

    def report() -> None:
        if session.lost:
            return
        scripted.objects.pop(f"{CORE}/pods/web")
        scripted.objects.update({f"{CORE}/pods/web": becomes} if becomes else {})

    session.lost, session.on_lost = 3, report
    with pytest.raises(CheckFailed, match="container web of pod web to be running") as failed:
        act(faults, Pod(pod()), "web")
    assert observed in str(failed.value)
    assert "kubectl logs web --container web --previous" in str(failed.value)
    assert session.asked == []


def test_one_that_runs_again_is_killed(faults: Faults, session: Session, clock: SteppedClock) -> None:
    session.lost = 2
    killed = faults.kill_container(Pod(pod()), "web")
    assert session.asked == [("kill-container", WEB)]
    assert (killed.t, killed.container) == (clock.now(), "containerd://1")


def test_one_that_runs_and_is_not_found_is_nobodys_mistake(
    faults: Faults, session: Session, clock: SteppedClock
) -> None:
    session.lost = 1000
    with pytest.raises(FaultUnavailable, match="freeze-container default/web/web: it does not run"):
        faults.freeze_container(Pod(pod()), "web")
    assert REPORT_SECONDS < clock.now() - clock.start < REPORT_SECONDS + 1
