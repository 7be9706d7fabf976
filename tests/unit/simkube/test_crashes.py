"""What becomes of exceptions that nobody foresaw: wherever they happen, somebody sees them, and the rest goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simkube.apimachinery.crashes import FILE
from simkube.client.client import Obj
from simkube.clock.clock import in_background
from simkube.controllers.deployment import DeploymentController
from simkube.kubelet import actions, worker
from simkube.runtime.programs import table
from tests.doubles.whole_cluster import ME, NODE, WholeCluster

pytestmark = pytest.mark.crashes


class Lab(WholeCluster):
    """With what its user finds in it."""

    def __init__(self) -> None:
        super().__init__()
        self.server = self.cluster.apiserver

    def run(self, name: str = "web", **container: Any) -> None:
        super().run({"name": "web", "image": "nginx", **container}, name=name, seconds=5)

    def condition(self, resource: str, name: str, namespace: str = "default") -> Obj:
        found = self.server.get(ME, resource, name, namespace)["status"].get("conditions") or []
        return next((one for one in found if one["type"] == "SimulatorFault"), {})

    def events(self, name: str = "web") -> list[str]:
        found = self.server.list(ME, "events")
        return [
            f"{one['involvedObject']['kind']}: {one['message']}"
            for one in found
            if one["reason"] == "InternalError" and one["involvedObject"]["name"] == name
        ]

    def phase(self, name: str = "web") -> str:
        return str(self.server.get(ME, "pods", name, "default")["status"]["phase"])


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    yield made
    made.cluster.stop()


def broken(times: int = 10**9) -> Callable[..., Any]:
    """A part that fails so often."""
    left = [times]

    def call(*_: Any, **__: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise KeyError("nobody")
        return False

    return call


def test_a_pod_that_the_kubelet_fails_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.PodWorker, "_rejected", broken(2))
    lab.run()
    (event,) = lab.events()
    assert event.startswith("Pod: kubelet: KeyError: 'nobody' (test_crashes.py:")
    assert event.endswith("This is a fault of the simulated cluster, not of what you did.")
    condition = lab.condition("pods", "web")
    assert (condition["status"], condition["reason"]) == ("True", "KeyError")
    lab.run("other")
    assert lab.phase("other") == "Running", "the node goes on"
    lab.cluster.advance(10)
    assert lab.phase() == "Running", "it was tried again"
    condition = lab.condition("pods", "web")
    assert (condition["status"], condition["reason"]) == ("False", "Recovered")


def test_a_controller_that_fails(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = DeploymentController.reconcile
    monkeypatch.setattr(DeploymentController, "reconcile", broken())
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    lab.server.create(ME, "deployments.apps", made, "default")
    lab.cluster.advance(5)
    assert lab.condition("deployments.apps", "web")["status"] == "True"
    assert lab.events()[0].startswith("Deployment: deployment-controller: KeyError")
    monkeypatch.setattr(DeploymentController, "reconcile", whole)
    lab.cluster.advance(1000)
    assert lab.condition("deployments.apps", "web").get("status") != "True"
    assert lab.server.get(ME, "deployments.apps", "web", "default")["status"]["readyReplicas"] == 1


def test_a_handler_a_timer_and_a_task_that_fail(lab: Lab) -> None:
    kubelet = lab.cluster.kubelets[NODE]
    kubelet._pod_changed = broken()  # type: ignore[method-assign]
    kubelet.client.observe("pods", kubelet._pod_changed)
    lab.run("heard")
    assert lab.events("heard"), "whoever wrote the pod was not kept from it"
    lab.clock.call_later(1, broken())
    later = []
    lab.clock.call_later(1, lambda: later.append(1))

    async def fails() -> None:
        await lab.clock.sleep(1)
        raise KeyError("nobody")

    in_background(lab.clock, fails(), "kubelet", {"metadata": {"name": "x"}, "kind": "Thing", "apiVersion": "v1"})
    lab.cluster.advance(3)
    assert later == [1]
    assert [crash.component for crash in lab.clock.crashes.latest][-2:] == ["cluster", "kubelet"]
    assert lab.condition("nodes", NODE, "")["status"] == "True"
    assert len(lab.events(NODE)) == 2, "what was about nothing with conditions is told of the node"


def test_a_probe_and_a_program_that_fail(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "_tcp", broken())
    lab.run(readinessProbe={"tcpSocket": {"port": 80}, "periodSeconds": 1})
    assert "KeyError" in lab.events()[0]
    assert "Running" in lab.phase(), "a probe that could not be tried counts neither way"
    uid = lab.server.get(ME, "pods", "web", "default")["metadata"]["uid"]
    container = lab.cluster.kubelets[NODE].container(uid, "web")
    assert container is not None
    monkeypatch.setitem(table.PROGRAMS, "ls", broken())
    session = container.exec(["ls"], lambda _, data: None)
    lab.cluster.advance(2)
    assert session.exited.result() == 70
    assert any("containerd: KeyError" in event for event in lab.events())


def test_reports_do_not_report_themselves(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simkube.cluster.crash_reporter.CrashReporter._report", broken())
    lab.clock.crashes.handle("kubelet", "testing", KeyError("nobody"))
    lab.cluster.advance(5)
    assert len(lab.clock.crashes.latest) < 50


def test_every_one_is_a_line_in_the_file_of_a_test_suite(lab: Lab) -> None:
    file = Path(os.environ[FILE])
    before = file.read_text() if file.exists() else ""
    lab.clock.crashes.handle("kubelet", "testing", KeyError("two\nlines"))
    assert file.read_text().removeprefix(before) == "kubelet: KeyError: 'two\\nlines' () while testing\n"
