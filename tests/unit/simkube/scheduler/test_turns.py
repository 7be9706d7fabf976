"""No pod loses its turn: whatever is tried meanwhile, promised to others, or goes wrong."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.apimachinery.errors import forbidden
from simkube.client.client import Caller, Obj
from simkube.component_helpers.pods import condition
from simkube.faults.outage import etcd_down
from tests.doubles.control_plane import Plane

BESIDE_A_GHOST = {
    "podAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"labelSelector": {"matchLabels": {"app": "ghost"}}, "topologyKey": "kubernetes.io/hostname"}
        ]
    }
}


def asking(cpu: str, **spec: Any) -> dict[str, Any]:
    return {"containers": [{"name": "a", "image": "a:1", "resources": {"requests": {"cpu": cpu}}}], **spec}


def on(plane: Plane) -> dict[str, str]:
    """The node of each pod."""
    return {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in plane.pods()}


def said(plane: Plane, name: str) -> Obj:
    found = condition(plane.client.get("pods", name, "default"), "PodScheduled")
    assert found is not None
    return found


@pytest.fixture
def plane() -> Plane:
    """One node with 4 CPUs, and a class of important pods."""
    plane = Plane()
    plane.node("one")
    meta = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 1000}
    plane.client.create("priorityclasses.scheduling.k8s.io", meta)
    return plane


def test_one_that_is_tried_again_and_again_takes_nobodys_turn(plane: Plane) -> None:
    plane.pod("lonely", affinity=BESIDE_A_GHOST, priorityClassName="high")
    plane.settle()
    plane.deploy(replicas=4)
    plane.settle(20)
    assert sorted(on(plane).values()) == ["", *["one"] * 4]
    assert said(plane, "lonely")["reason"] == "Unschedulable"


def test_one_that_waits_for_company_is_tried_when_it_comes_and_not_before(plane: Plane) -> None:
    plane.pod("lonely", affinity=BESIDE_A_GHOST)
    plane.deploy(replicas=3)
    plane.settle(20)
    told = [event for event in plane.client.list("events") if event["reason"] == "FailedScheduling"]
    assert [event.get("series") for event in told] == [None]
    plane.pod("ghost", labels={"app": "ghost"})
    plane.settle()
    assert on(plane)["lonely"] == "one"


def test_each_of_several_important_pods_makes_room_for_itself(plane: Plane) -> None:
    for number in range(3):
        plane.pod(f"low-{number}", **asking("1"))
    plane.pod("small", **asking("500m"))
    plane.settle(1)
    for number in range(2):
        plane.pod(f"high-{number}", **asking("1", priorityClassName="high"))
    plane.settle(5)
    there = on(plane)
    assert (there["high-0"], there["high-1"]) == ("one", "one")
    assert len(there) == 4  # one of the low ones and the small one had to go


def test_important_pods_count_each_other_while_their_victims_end(plane: Plane) -> None:
    for number in range(4):
        plane.pod(f"low-{number}", **asking("1"))
    plane.settle(1)
    plane.cluster.kubelets["one"].stop()  # nothing ends
    for number in range(2):
        plane.pod(f"high-{number}", **asking("1", priorityClassName="high"))
    plane.settle(5)
    going = [pod["metadata"]["name"] for pod in plane.pods() if "deletionTimestamp" in pod["metadata"]]
    assert len(going) == 2


def test_a_promise_that_is_no_longer_needed_frees_the_place(plane: Plane) -> None:
    plane.pod("first", **asking("3"))
    plane.settle(1)
    plane.cluster.kubelets["one"].stop()
    plane.pod("high", **asking("4", priorityClassName="high"))
    plane.pod("other", **asking("1"))
    plane.settle(5)
    assert on(plane)["other"] == ""
    plane.client.delete("pods", "high", "default", gracePeriodSeconds=0)
    plane.settle(11)
    assert on(plane)["other"] == "one"


def test_room_is_looked_for_elsewhere_when_the_promised_node_is_no_use_any_more(plane: Plane) -> None:
    plane.pod("first", **asking("4"))
    plane.settle(1)
    plane.cluster.kubelets["one"].stop()
    plane.pod("high", **asking("4", priorityClassName="high"))
    plane.settle(5)
    plane.client.patch("nodes", "one", {"spec": {"unschedulable": True}})
    plane.node("two", labels={"new": "yes"})
    plane.pod("second", **asking("4", nodeSelector={"new": "yes"}))
    plane.settle(15)
    assert on(plane)["high"] == "two"


def test_labels_of_a_namespace_bring_company(plane: Plane) -> None:
    plane.client.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "far"}})
    ghost = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ghost", "labels": {"app": "ghost"}}}
    plane.settle(1)
    plane.client.create("pods", {**ghost, "spec": {"containers": [{"name": "a", "image": "a:1"}]}}, "far")
    term = {
        "labelSelector": {"matchLabels": {"app": "ghost"}},
        "namespaceSelector": {"matchLabels": {"team": "a"}},
        "topologyKey": "kubernetes.io/hostname",
    }
    plane.pod("a", affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})
    plane.settle(5)
    assert on(plane)["a"] == ""
    plane.client.patch("namespaces", "far", {"metadata": {"labels": {"team": "a"}}})
    plane.settle(1)
    assert on(plane)["a"] == "one"


def test_a_pod_that_was_made_smaller_makes_room_once_its_node_agrees(plane: Plane) -> None:
    plane.pod("large", **asking("3"))
    plane.settle(1)
    held = [
        {"name": "a", "allocatedResources": {"cpu": "3"}, "ready": True, "restartCount": 0, "image": "", "imageID": ""}
    ]
    status = {"status": {"containerStatuses": held}}
    plane.client.patch("pods", "large", status, "default", type="strategic", subresource="status")
    plane.pod("next", **asking("2"))
    plane.settle(5)
    smaller = {"spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}]}}
    plane.client.patch("pods", "large", smaller, "default", type="strategic", subresource="resize")
    plane.settle(5)
    assert on(plane)["next"] == ""
    held[0]["allocatedResources"] = {"cpu": "1"}
    plane.client.patch("pods", "large", status, "default", type="strategic", subresource="status")
    plane.settle(5)
    assert on(plane)["next"] == "one"


def test_a_binding_that_is_refused_is_told_and_holds_up_nobody(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = plane.cluster.gate
    create = gate.create

    def refusing(caller: Caller, resource: str, obj: Obj, namespace: str = "", **more: Any) -> Obj:
        if more.get("subresource") == "binding" and more["name"] == "unwanted":
            raise forbidden("pods", "unwanted", "not this one")
        return create(caller, resource, obj, namespace, **more)

    monkeypatch.setattr(gate, "create", refusing)
    plane.pod("unwanted", priorityClassName="high")
    plane.pod("other")
    plane.settle(30)
    assert on(plane) == {"unwanted": "", "other": "one"}
    found = said(plane, "unwanted")
    assert found["reason"] == "SchedulerError"
    refusal = 'running Bind plugin "DefaultBinder": pods "unwanted" is forbidden: not this one'
    assert found["message"] == refusal
    assert found["message"] in plane.events("FailedScheduling")
    monkeypatch.undo()
    plane.settle(11)
    assert on(plane)["unwanted"] == "one"


def test_what_could_not_be_bound_in_an_outage_is_bound_after_it(plane: Plane) -> None:
    plane.cluster.stop_component("kube-scheduler")
    plane.pod("a")
    plane.settle()
    plane.cluster.start_component("kube-scheduler")
    plane.cluster.gate.trouble = etcd_down
    plane.settle(5)
    assert on(plane)["a"] == ""
    plane.cluster.gate.trouble = None
    plane.settle(10)
    assert on(plane)["a"] == "one"


def test_a_scheduler_that_starts_again_finds_what_waits(plane: Plane) -> None:
    plane.pod("large", **asking("8"))
    plane.pod("a", **asking("1"))
    plane.cluster.stop_component("kube-scheduler")
    plane.cluster.start_component("kube-scheduler")
    plane.settle(5)
    assert on(plane) == {"large": "", "a": "one"}
    assert said(plane, "large")["reason"] == "Unschedulable"
