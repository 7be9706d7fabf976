"""Daemon sets: which nodes get a pod, how pods are renewed, and carrying on from the middle of it."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.client.client import Obj
from simkube.controllers import daemonpods
from tests.doubles.control_plane import BrokenKubelet, NeverReadyKubelet, Plane, ScriptedKubelet, SlowKubelet, images

SETS = "daemonsets.apps"


def daemon_set(**spec: Any) -> Obj:
    labels = {"app": "agent"}
    pod = {"containers": [{"name": "agent", "image": "agent:1"}], **spec.pop("pod", {})}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": spec}


def cluster(nodes: int = 3, kubelet: type[ScriptedKubelet] | None = ScriptedKubelet) -> Plane:
    plane = Plane()
    for number in range(nodes):
        plane.node(f"n{number}", kubelet)
    return plane


@pytest.fixture
def plane() -> Plane:
    return cluster()


def create(plane: Plane, **spec: Any) -> None:
    plane.client.create(SETS, daemon_set(**spec), "default")
    plane.settle()


def change(plane: Plane, spec: Obj) -> None:
    plane.client.patch(SETS, "agent", {"spec": spec}, "default", type="strategic")
    plane.settle()


def set_image(plane: Plane, image: str) -> None:
    change(plane, {"template": {"spec": {"containers": [{"name": "agent", "image": image}]}}})


def status(plane: Plane) -> Obj:
    found: Obj = plane.client.get(SETS, "agent", "default")["status"]
    return found


def where(plane: Plane) -> list[str]:
    return sorted(pod["spec"].get("nodeName", "") for pod in plane.pods())


def taint(plane: Plane, node: str, *taints: Obj) -> None:
    plane.client.patch("nodes", node, {"spec": {"taints": list(taints) or None}})
    plane.settle()


def test_one_pod_a_node_also_on_nodes_that_come_later(plane: Plane) -> None:
    create(plane)
    assert where(plane) == ["n0", "n1", "n2"]
    plane.node("n3")
    assert where(plane) == ["n0", "n1", "n2", "n3"]
    assert (status(plane)["desiredNumberScheduled"], status(plane)["numberAvailable"]) == (4, 4)


def test_selectors_and_affinity_choose_nodes(plane: Plane) -> None:
    create(plane, pod={"nodeSelector": {"kubernetes.io/hostname": "n1"}})
    assert where(plane) == ["n1"]
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["n1"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    change(plane, {"template": {"spec": {"nodeSelector": None, "affinity": {"nodeAffinity": required}}}})
    assert where(plane) == ["n0", "n2"]


def test_no_schedule_keeps_new_pods_off_and_leaves_old_ones(plane: Plane) -> None:
    taint(plane, "n0", {"key": "only", "value": "db", "effect": "NoSchedule"})
    create(plane)
    assert where(plane) == ["n1", "n2"]
    taint(plane, "n1", {"key": "only", "value": "db", "effect": "NoSchedule"})
    assert where(plane) == ["n1", "n2"]
    assert status(plane)["numberMisscheduled"] == 1
    taint(plane, "n0")
    assert where(plane) == ["n0", "n1", "n2"]


def test_daemons_stay_on_cordoned_nodes_and_tolerate_trouble(plane: Plane) -> None:
    plane.client.patch("nodes", "n0", {"spec": {"unschedulable": True}})
    plane.settle()
    create(plane)
    assert where(plane) == ["n0", "n1", "n2"]
    keys = {each["key"].rpartition("/")[2] for each in plane.pods()[0]["spec"]["tolerations"]}
    assert keys == {"not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"}


def test_own_tolerations_stay_and_are_not_doubled() -> None:
    own = [
        {"key": "a", "operator": "Exists"},
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5},
    ]
    made = daemonpods.tolerations({"tolerations": own, "hostNetwork": True})
    assert made[0] == own[0]
    assert made[1] == {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    assert [each["key"] for each in made].count("node.kubernetes.io/not-ready") == 1
    assert made[-1]["key"] == "node.kubernetes.io/network-unavailable"


def test_rolls_one_node_at_a_time() -> None:
    plane = cluster(3, SlowKubelet)
    create(plane)
    plane.settle(20)
    set_image(plane, "agent:2")
    assert images(plane.pods()) == ["agent:1", "agent:1", "agent:2"]
    plane.settle(10)
    assert images(plane.pods()) == ["agent:1", "agent:2", "agent:2"]
    plane.settle(30)
    assert images(plane.pods()) == ["agent:2"] * 3
    assert status(plane)["updatedNumberScheduled"] == 3


def test_a_rollout_that_never_gets_ready_stops() -> None:
    plane = cluster(3)
    create(plane, updateStrategy={"rollingUpdate": {"maxUnavailable": 2}})
    for node in ("n0", "n1", "n2"):
        plane.cluster.kubelets[node].stop()
        NeverReadyKubelet(plane, node).start()
    set_image(plane, "agent:2")
    plane.settle(60)
    assert images(plane.pods()) == ["agent:1", "agent:2", "agent:2"]


def test_surge_brings_the_new_pod_first() -> None:
    plane = cluster(2, SlowKubelet)
    create(plane, updateStrategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    plane.settle(20)
    set_image(plane, "agent:2")
    assert images(plane.pods()) == ["agent:1", "agent:1", "agent:2"]
    plane.settle(11)
    assert images(plane.pods()) == ["agent:1", "agent:2", "agent:2"]
    plane.settle(11)
    assert images(plane.pods()) == ["agent:2", "agent:2"]


def test_on_delete_leaves_it_to_the_user(plane: Plane) -> None:
    create(plane, updateStrategy={"type": "OnDelete"})
    set_image(plane, "agent:2")
    assert images(plane.pods()) == ["agent:1"] * 3
    plane.client.delete("pods", plane.pods()[0]["metadata"]["name"], "default")
    plane.settle()
    assert images(plane.pods()) == ["agent:1", "agent:1", "agent:2"]


def test_failed_pods_are_replaced_ever_more_slowly() -> None:
    plane = cluster(1, BrokenKubelet)
    create(plane)
    plane.settle(60)
    first = sum(1 for event in plane.client.list("events") if event["reason"] == "FailedDaemonPod")
    assert first
    made = sum(event["count"] for event in plane.client.list("events") if event["reason"] == "SuccessfulCreate")
    assert 5 <= made <= 8
    assert len(plane.pods()) == 1


def test_revisions_are_numbered_and_used_again(plane: Plane) -> None:
    create(plane, revisionHistoryLimit=2)
    for image in ("agent:2", "agent:3", "agent:1"):
        set_image(plane, image)
    revisions = plane.client.list("controllerrevisions.apps", "default")
    assert sorted(each["revision"] for each in revisions) == [2, 3, 4]
    assert images(plane.pods()) == ["agent:1"] * 3


def test_adopts_a_pod_that_is_already_there(plane: Plane) -> None:
    plane.pod("stray", labels={"app": "agent"}, nodeName="n0")
    create(plane, updateStrategy={"type": "OnDelete"})
    names = {pod["metadata"]["name"] for pod in plane.pods()}
    assert len(names) == 3
    assert "stray" in names


def test_minimum_ready_seconds_delay_availability(plane: Plane) -> None:
    create(plane, minReadySeconds=20)
    plane.settle(10)
    assert status(plane)["numberReady"] == 3
    assert "numberAvailable" not in status(plane)
    plane.settle(11)
    assert status(plane)["numberAvailable"] == 3


@pytest.mark.parametrize("steps", range(0, 50, 7))
def test_a_restart_at_any_moment_changes_nothing_in_the_end(steps: int) -> None:
    plane = cluster()
    create(plane)
    plane.client.patch(
        SETS,
        "agent",
        {"spec": {"template": {"spec": {"containers": [{"name": "agent", "image": "agent:2"}]}}}},
        "default",
        type="strategic",
    )
    for _ in range(steps):
        plane.cluster.step()
    plane.cluster.stop_component("kube-controller-manager")
    plane.client.delete("pods", plane.pods()[-1]["metadata"]["name"], "default")
    plane.settle()
    plane.cluster.start_component("kube-controller-manager")
    plane.settle(2)
    assert where(plane) == ["n0", "n1", "n2"]
    assert images(plane.pods()) == ["agent:2"] * 3
    assert status(plane)["numberAvailable"] == 3
