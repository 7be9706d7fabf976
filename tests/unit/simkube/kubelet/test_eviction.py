"""Pods that go for what they take of their node, and pods that a node does not take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.doubles.whole_cluster import ME, NODE
from tests.unit.simkube.kubelet.test_resources import Measured, limits, stress


@pytest.fixture
def lab() -> Iterator[Measured]:
    made = Measured()
    yield made
    made.cluster.stop()


def conditions(obj: dict[str, Any]) -> dict[str, Any]:
    return {one["type"]: one for one in obj["status"]["conditions"]}


def node(lab: Measured) -> dict[str, Any]:
    return lab.cluster.apiserver.get(ME, "nodes", NODE)


def events(lab: Measured, reason: str) -> list[str]:
    found = lab.cluster.apiserver.list(ME, "events")
    return [one["message"] for one in found if one["reason"] == reason]


def hog(size: str, **more: Any) -> dict[str, Any]:
    return stress("--vm", "1", "--vm-bytes", size, "--vm-hang", "0", **more)


def test_too_little_memory_costs_the_pod_furthest_beyond_its_requests(lab: Measured) -> None:
    lab.run(hog("3000M", resources={"requests": {"memory": "3Gi"}}), "honest")
    lab.run(hog("1000M"), "modest")
    lab.run(hog("3500M"), "greedy", restartPolicy="Never")
    lab.cluster.advance(16)
    assert [lab.status(name)["phase"] for name in ("honest", "modest", "greedy")] == ["Running", "Running", "Failed"]
    status = lab.status("greedy")
    assert status["reason"] == "Evicted"
    assert status["message"].startswith("The node was low on resource: memory. Threshold quantity: 100Mi, available: ")
    assert "Container greedy was using 3585" in status["message"]
    assert "request is 0, has larger consumption of memory. " in status["message"]
    target = conditions({"status": status})["DisruptionTarget"]
    assert (target["status"], target["reason"]) == ("True", "TerminationByKubelet")
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 143
    assert events(lab, "Evicted") == [status["message"]]
    assert events(lab, "EvictionThresholdMet") == ["Attempting to reclaim memory"]


def test_a_node_under_pressure_says_so_until_it_had_enough_for_a_while(lab: Measured) -> None:
    lab.run(hog("7500M"), "hog", seconds=25, restartPolicy="Never")
    found = conditions(node(lab))["MemoryPressure"]
    assert (found["status"], found["reason"]) == ("True", "KubeletHasInsufficientMemory")
    assert "node.kubernetes.io/memory-pressure" in {one["key"] for one in node(lab)["spec"]["taints"]}
    lab.run({"image": "nginx"}, "best-effort", nodeName=NODE)
    assert lab.status("best-effort")["reason"] == "Evicted"
    assert lab.status("best-effort")["message"] == "The node had condition: [MemoryPressure]. "
    lab.run({"image": "nginx", "resources": limits(memory="64Mi")}, "burstable", nodeName=NODE)
    assert lab.status("burstable")["phase"] == "Running"
    lab.cluster.advance(310)
    assert conditions(node(lab))["MemoryPressure"]["status"] == "False"
    assert "taints" not in node(lab)["spec"]


def test_what_is_critical_is_not_evicted(lab: Measured) -> None:
    lab.run({"image": "nginx"}, "small")
    spec = {"priorityClassName": "system-cluster-critical"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "core", "namespace": "kube-system"}}
    container = {"name": "core", **hog("7500M")}
    lab.cluster.apiserver.create(ME, "pods", {**pod, "spec": {"containers": [container], **spec}}, "kube-system")
    lab.cluster.advance(30)
    assert lab.cluster.apiserver.get(ME, "pods", "core", "kube-system")["status"]["phase"] == "Running"
    assert lab.status("small")["reason"] == "Evicted"


def test_an_empty_dir_beyond_its_limit_costs_the_pod(lab: Measured) -> None:
    script = "dd if=/dev/zero of=/cache/file bs=1M count=3; sleep 1d"
    container = {"image": "busybox", "command": ["sh", "-c", script]}
    container["volumeMounts"] = [{"name": "cache", "mountPath": "/cache"}]
    lab.run(container, volumes=[{"name": "cache", "emptyDir": {"sizeLimit": "2Mi"}}], seconds=20)
    assert lab.status()["reason"] == "Evicted"
    assert lab.status()["message"] == 'Usage of EmptyDir volume "cache" exceeds the limit "2Mi". '


def test_a_container_beyond_its_ephemeral_storage_costs_the_pod(lab: Measured) -> None:
    script = "dd if=/dev/zero of=/file bs=1M count=3; sleep 1d"
    container = {"image": "busybox", "command": ["sh", "-c", script]}
    lab.run({**container, "resources": {"limits": {"ephemeral-storage": "2Mi"}}}, seconds=20)
    assert lab.status()["message"].startswith(
        "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi"
    )
    lab.run({**container, "resources": {"limits": {"ephemeral-storage": "4Mi"}}}, "within", seconds=20)
    assert lab.status("within")["phase"] == "Running"


def test_files_in_memory_are_bounded_and_count_as_memory(lab: Measured) -> None:
    script = "dd if=/dev/zero of=/cache/a bs=1M count=2; dd if=/dev/zero of=/cache/b bs=1M count=2 && touch /cache/done"
    container = {"image": "busybox", "command": ["sh", "-c", f"{script}; sleep 1d"]}
    container["volumeMounts"] = [{"name": "cache", "mountPath": "/cache"}]
    memory = {"medium": "Memory", "sizeLimit": "3Mi"}
    lab.run(container, volumes=[{"name": "cache", "emptyDir": memory}], seconds=40)
    assert lab.status()["phase"] == "Running", "tmpfs is full, nobody is evicted"
    assert 2.3 <= lab.usage()[1] < 4
    small = {**container, "resources": limits(memory="2Mi")}
    lab.run(small, "small", volumes=[{"name": "cache", "emptyDir": memory}], seconds=15)
    found = lab.status("small")["containerStatuses"][0]
    assert (found["lastState"].get("terminated") or found["state"]["terminated"])["reason"] == "OOMKilled"


def test_a_pod_that_somebody_bound_to_a_full_node_is_refused(lab: Measured) -> None:
    lab.run({"image": "nginx", "resources": limits(cpu="3")}, "first")
    lab.run({"image": "nginx", "resources": limits(cpu="2")}, "second", nodeName=NODE)
    status = lab.status("second")
    assert (status["phase"], status["reason"]) == ("Failed", "OutOfcpu")
    text = r"Node didn't have enough resource: cpu, requested: 2000, used: 3\d\d0, capacity: 4000"
    assert re.fullmatch(f"Pod was rejected: {text}", status["message"])
    (event,) = events(lab, "OutOfcpu")
    assert re.fullmatch(text, event)
