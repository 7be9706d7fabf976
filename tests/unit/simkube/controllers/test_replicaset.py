"""Replica sets: adoption, release, who goes first, failures."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from simkube.client.client import Obj
from simkube.controllers.ranking import to_delete
from tests.doubles.control_plane import START, Plane


@pytest.fixture
def plane() -> Plane:
    plane = Plane()
    plane.node("one")
    return plane


def replica_set(name: str = "web", replicas: int = 2, **spec: object) -> Obj:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name}, "spec": spec}


def rs_status(plane: Plane) -> Obj:
    status: Obj = plane.client.get("replicasets.apps", "web", "default")["status"]
    return status


def test_adopts_orphans_instead_of_making_more(plane: Plane) -> None:
    plane.pod("stray", labels={"app": "web"})
    plane.client.create("replicasets.apps", replica_set(), "default")
    plane.settle()
    owners = {pod["metadata"]["name"]: pod["metadata"]["ownerReferences"][0]["name"] for pod in plane.pods()}
    assert len(owners) == 2
    assert owners["stray"] == "web"


def test_releases_a_pod_that_no_longer_matches_and_replaces_it(plane: Plane) -> None:
    plane.client.create("replicasets.apps", replica_set(), "default")
    plane.settle()
    name = plane.pods()[0]["metadata"]["name"]
    plane.client.patch("pods", name, {"metadata": {"labels": {"app": "debug"}}}, "default")
    plane.settle()
    assert len(plane.pods("app=web")) == 2
    assert "ownerReferences" not in plane.client.get("pods", name, "default")["metadata"]


def test_counts_terminating_pods_apart() -> None:
    plane = Plane()
    plane.node("one")
    plane.client.create("replicasets.apps", replica_set(), "default")
    plane.settle()
    plane.cluster.kubelets["one"].stop()
    plane.client.delete("pods", plane.pods()[0]["metadata"]["name"], "default")
    plane.settle()
    assert (rs_status(plane)["replicas"], rs_status(plane)["terminatingReplicas"]) == (2, 1)
    assert len(plane.pods()) == 3


def test_says_why_it_cannot_create_pods_and_recovers(plane: Plane) -> None:
    rs = replica_set()
    rs["spec"]["template"]["spec"]["serviceAccountName"] = "missing"
    plane.client.create("replicasets.apps", rs, "default")
    plane.settle(1)
    (failure,) = rs_status(plane)["conditions"]
    assert (failure["type"], failure["reason"]) == ("ReplicaFailure", "FailedCreate")
    assert 'serviceaccount "missing" not found' in failure["message"]
    assert any(message.startswith("Error creating: pods ") for message in plane.events("FailedCreate"))
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "missing"}}
    plane.client.create("serviceaccounts", account, "default")
    plane.settle(5)
    assert len(plane.pods()) == 2
    assert "conditions" not in rs_status(plane)


def replication_controller(**selector: str) -> Obj:
    template = {"metadata": {"labels": {"app": "old"}}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}}
    spec = {"replicas": 2, "selector": selector, "template": template}
    return {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "old"}, "spec": spec}


def test_replication_controllers_do_the_same(plane: Plane) -> None:
    plane.pod("stray", labels={"app": "old"})
    plane.client.create("replicationcontrollers", replication_controller(app="old"), "default")
    plane.settle()
    rc = plane.client.get("replicationcontrollers", "old", "default")
    assert (rc["status"]["replicas"], rc["status"]["availableReplicas"], len(plane.pods("app=old"))) == (2, 2, 2)
    assert {pod["metadata"]["ownerReferences"][0]["kind"] for pod in plane.pods()} == {"ReplicationController"}
    scale = plane.client.get("replicationcontrollers", "old", "default", subresource="scale")
    assert scale["status"] == {"replicas": 2, "selector": "app=old"}
    plane.client.patch("replicationcontrollers", "old", {"spec": {"replicas": 0}}, "default", subresource="scale")
    plane.settle()
    assert plane.pods() == []


def test_many_events_of_one_kind_are_combined(plane: Plane) -> None:
    plane.client.create("replicasets.apps", replica_set(replicas=60), "default")
    plane.settle()
    messages = plane.events("SuccessfulCreate")
    assert len(plane.pods()) == 60
    assert len(messages) == 10
    assert sum(message.startswith("(combined from similar events): Created pod: ") for message in messages) == 1


def ranked(
    name: str,
    *,
    node: str = "n",
    ready_for: float | None = None,
    phase: str = "Running",
    cost: int = 0,
    restarts: int = 0,
    age: float = 100,
) -> Obj:
    def stamp(seconds: float) -> str:
        return datetime.fromtimestamp(START - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    ready = {"type": "Ready", "status": "False" if ready_for is None else "True"}
    ready["lastTransitionTime"] = stamp(ready_for or 0)
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "creationTimestamp": stamp(age),
            "annotations": {"controller.kubernetes.io/pod-deletion-cost": str(cost)},
        },
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, "conditions": [ready], "containerStatuses": [{"restartCount": restarts}]},
    }


def test_order_of_deletion() -> None:
    expected = [
        ranked("a-unassigned", node=""),
        ranked("b-pending", phase="Pending"),
        ranked("c-not-ready"),
        ranked("d-cheap", ready_for=50, cost=-5),
        ranked("e-just-ready", ready_for=1),
        ranked("f-restarted", ready_for=1000, restarts=3),
        ranked("g-young", ready_for=1000, age=2),
        ranked("h-steady", ready_for=1000, age=5000),
        ranked("i-dear", ready_for=50, cost=5),
    ]
    shuffled = [expected[index] for index in (7, 3, 0, 5, 8, 2, 6, 1, 4)]
    got = to_delete(shuffled, [], 8, START)
    assert [pod["metadata"]["name"] for pod in got] == [pod["metadata"]["name"] for pod in expected[:8]]


def test_thins_out_crowded_nodes_first() -> None:
    pods = [ranked("a", node="one", ready_for=9), ranked("b", node="two", ready_for=9)]
    related = [*pods, ranked("c", node="two", ready_for=9)]
    assert to_delete(pods, related, 1, START)[0]["metadata"]["name"] == "b"
