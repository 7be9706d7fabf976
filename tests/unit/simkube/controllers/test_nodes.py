"""Nodes that fall silent: noticed, tainted, emptied, and taken back."""

from __future__ import annotations

import pytest

from simkube.client.client import Obj
from simkube.component_helpers.pods import condition, is_ready
from tests.doubles.control_plane import Plane, reason_of

FAST = {
    "nodes": [],
    "kubeadmConfigPatches": [
        "kind: ClusterConfiguration\n"
        "apiServer: {extraArgs: {default-not-ready-toleration-seconds: '10',"
        " default-unreachable-toleration-seconds: '10'}}\n"
        "controllerManager: {extraArgs: {node-monitor-grace-period: 16s}}\n"
    ],
}


@pytest.fixture
def plane() -> Plane:
    plane = Plane(FAST)
    plane.node("one")
    plane.node("two")
    return plane


def taints(plane: Plane, name: str) -> list[tuple[str, str]]:
    found = plane.client.get("nodes", name)["spec"].get("taints") or ()
    return [(taint["key"].removeprefix("node.kubernetes.io/"), taint["effect"]) for taint in found]


def node(plane: Plane, name: str) -> Obj:
    return plane.client.get("nodes", name)


def stop(plane: Plane, name: str) -> None:
    plane.cluster.stop_component(f"kubelet/{name}")


def on(plane: Plane, name: str) -> list[Obj]:
    return [pod for pod in plane.pods() if pod["spec"].get("nodeName") == name]


def test_a_silent_node_is_unknown_after_the_grace_period_and_emptied(plane: Plane) -> None:
    plane.deploy(replicas=4)
    plane.settle()
    assert len(on(plane, "one")) == 2
    stop(plane, "one")
    plane.settle(15)
    assert is_ready(node(plane, "one"))
    plane.settle(2)
    assert reason_of(node(plane, "one"), "Ready") == "NodeStatusUnknown"
    assert taints(plane, "one") == [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]
    assert not any(is_ready(pod) for pod in on(plane, "one"))
    assert "Node is not ready" in plane.events("NodeNotReady")
    assert not any("deletionTimestamp" in pod["metadata"] for pod in on(plane, "one"))
    plane.settle(10)
    assert all("deletionTimestamp" in pod["metadata"] for pod in on(plane, "one"))
    assert all(condition(pod, "DisruptionTarget") is not None for pod in on(plane, "one"))
    assert len([pod for pod in on(plane, "two") if is_ready(pod)]) == 4
    assert any(
        message.startswith("Marking for deletion Pod default/web-") for message in plane.events("TaintManagerEviction")
    )


def test_a_node_that_comes_back_is_used_again(plane: Plane) -> None:
    plane.deploy(replicas=2)
    plane.settle()
    stop(plane, "one")
    plane.settle(40)
    plane.cluster.start_component("kubelet/one")
    plane.settle()
    assert is_ready(node(plane, "one"))
    assert taints(plane, "one") == []
    assert all("deletionTimestamp" not in pod["metadata"] for pod in plane.pods())
    plane.scale(6)
    plane.settle()
    assert len(on(plane, "one")) >= 2


def test_a_node_back_in_time_keeps_its_pods(plane: Plane) -> None:
    plane.deploy(replicas=2)
    plane.settle()
    before = {pod["metadata"]["uid"] for pod in plane.pods()}
    stop(plane, "one")
    plane.settle(20)
    assert any("unreachable" in key for key, _ in taints(plane, "one"))
    plane.cluster.start_component("kubelet/one")
    plane.settle(30)
    assert {pod["metadata"]["uid"] for pod in plane.pods()} == before
    assert any(message.startswith("Cancelling deletion") for message in plane.events("TaintManagerEviction"))


def test_nothing_is_evicted_when_every_node_is_silent(plane: Plane) -> None:
    plane.deploy(replicas=2)
    plane.settle()
    stop(plane, "one")
    stop(plane, "two")
    plane.settle(120)
    assert taints(plane, "one") == taints(plane, "two") == [("unreachable", "NoSchedule")]
    assert not any("deletionTimestamp" in pod["metadata"] for pod in plane.pods())


def test_silence_that_began_while_the_controllers_were_stopped_is_noticed(plane: Plane) -> None:
    plane.cluster.stop_component("kube-controller-manager")
    stop(plane, "one")
    plane.settle(60)
    assert is_ready(node(plane, "one"))
    plane.cluster.start_component("kube-controller-manager")
    plane.settle()
    assert reason_of(node(plane, "one"), "Ready") == "NodeStatusUnknown"


def test_cordoned_nodes_are_tainted_and_left_alone(plane: Plane) -> None:
    plane.client.patch("nodes", "one", {"spec": {"unschedulable": True}}, type="strategic")
    plane.settle()
    assert taints(plane, "one") == [("unschedulable", "NoSchedule")]
    plane.deploy(replicas=3)
    plane.settle()
    assert len(on(plane, "two")) == 3
    plane.client.patch("nodes", "one", {"spec": {"unschedulable": None}}, type="strategic")
    plane.settle()
    assert taints(plane, "one") == []


def test_a_learners_taint_evicts_whoever_does_not_tolerate_it(plane: Plane) -> None:
    plane.pod("tough", nodeName="one", tolerations=[{"key": "drain", "operator": "Exists"}])
    plane.pod("soft", nodeName="one")
    patience = {"key": "drain", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    plane.pod("patient", nodeName="one", tolerations=[patience])
    plane.settle()
    plane.client.patch("nodes", "one", {"spec": {"taints": [{"key": "drain", "effect": "NoExecute"}]}})
    plane.settle()
    assert sorted(pod["metadata"]["name"] for pod in plane.pods()) == ["patient", "tough"]
    plane.settle(6)
    assert [pod["metadata"]["name"] for pod in plane.pods()] == ["tough"]
    assert taints(plane, "one") == [("drain", "NoExecute")]


def test_pods_of_a_node_that_was_deleted_go_after_a_quarantine(plane: Plane) -> None:
    plane.pod("a", nodeName="one")
    plane.settle()
    plane.cluster.kubelets["one"].stop()
    plane.client.delete("nodes", "one")
    plane.settle(30)
    assert len(plane.pods()) == 1
    plane.settle(15)
    assert plane.pods() == []
    assert "Node one event: Removing Node one from Controller" in plane.events("RemovingNode")


def test_an_idle_cluster_has_nothing_to_do(plane: Plane) -> None:
    plane.deploy()
    plane.settle(700)
    revision = plane.store.revision
    assert plane.cluster.step() is None
    plane.settle(1200)
    assert plane.store.revision == revision
