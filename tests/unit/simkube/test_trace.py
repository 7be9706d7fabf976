"""The trace: who changed what in answer to what, from one request to the pods that run because of it."""

from __future__ import annotations

import re

import pytest

from simkube.apiserver.registry.kinds import RESOURCES
from simkube.apiserver.registry.request import Request
from simkube.client.client import Caller
from simkube.trace.entry import Entry
from simkube.trace.sentences import difference, journey, sentence
from simkube.trace.trace import MOST
from tests.doubles.control_plane import Plane
from tests.unit.simkube.test_cluster import topology, web

LEARNER = Caller("learner", ("system:masters",), "kubectl")


@pytest.fixture
def plane() -> Plane:
    return Plane(topology("three-node"))


def applied(plane: Plane) -> Entry:
    """A deployment as HTTP brings it; the entry of that change."""
    plane.deploy(replicas=1, image="kindling/web:1.0")
    request = Request(LEARNER, "patch", RESOURCES["deployments.apps"], "default", "web", checked=True)
    plane.cluster.apiserver.do_patch(request, {"spec": {"replicas": 2}}, "merge")
    return plane.cluster.trace.since(0)[-1]


def test_a_request_is_the_root_of_all_that_follows(plane: Plane) -> None:
    root = applied(plane)
    plane.settle(5)
    story = list(plane.cluster.trace.following(root.id))
    did = [(each.by, each.did, each.kind) for each in story if each.kind != "Event"]
    assert did[0] == ("", "changed", "Deployment")
    steps = [
        ("deployment-controller", "created", "ReplicaSet"),
        ("replicaset-controller", "created", "Pod"),
        ("kube-scheduler", "changed", "Pod"),
        ("kubelet", "changed", "Pod"),
    ]
    places = [did.index(step) for step in steps]
    assert places == sorted(places)
    assert did[-1] == ("deployment-controller", "changed", "Deployment")
    assert all(each.cause in {one.id for one in story} for each in story[1:])
    assert all(each.cause < each.id for each in story)


def test_sentences(plane: Plane) -> None:
    root = applied(plane)
    plane.settle(5)
    trace = plane.cluster.trace
    texts = [sentence(each, trace.get) for each in trace.following(root.id)]
    assert texts[0] == "learner (kubectl) changed Deployment default/web (spec.replicas: 1 -> 2)"
    made = next(each for each in trace.since(0) if each.kind == "ReplicaSet")
    why = "because Deployment default/web was changed (spec.replicas: 1 -> 2)"
    assert f"deployment-controller created ReplicaSet default/{made.name} {why}" in texts
    assert any(re.search("^kube-scheduler reported: Pod default/.*: Scheduled: Successfully", text) for text in texts)
    assert any(re.search("^kubelet on test-worker.* changed Pod .*Pending -> Running", text) for text in texts)
    assert journey(root) == [
        "kubectl asks kube-apiserver to patch deployments.apps web as learner",
        "kube-apiserver authenticates, authorizes, admits and validates it",
        f"etcd stores it as revision {root.revision}",
        f"the watches tell {', '.join(root.told) or 'nobody who has to act'}",
    ]


def test_kube_proxy_is_in_the_story_though_it_writes_nothing(plane: Plane) -> None:
    web(plane)
    trace = plane.cluster.trace
    rules = [each for each in trace.since(0) if each.by == "kube-proxy"]
    assert rules
    cause = trace.get(rules[-1].cause)
    assert cause is not None
    assert cause.kind == "EndpointSlice"
    assert sentence(rules[-1], trace.get).startswith("kube-proxy wrote ")


def test_what_is_caused_by_time_is_caused_by_who_set_the_timer(plane: Plane) -> None:
    plane.cluster.stop_component("kubelet/test-worker")
    plane.settle(30)
    unknown = next(each for each in plane.cluster.trace.since(0) if "Ready: Unknown" in each.what)
    assert unknown.by == "node-lifecycle-controller"
    assert unknown.name == "test-worker"


def test_refused_and_dry_requests_are_no_changes(plane: Plane) -> None:
    before = plane.cluster.trace.last
    with pytest.raises(Exception, match="invalid"):
        plane.deploy(name="Not A Name")
    caller = plane.client.caller
    plane.cluster.apiserver.create(
        caller, "configmaps", {"metadata": {"name": "a"}}, "default", options={"dryRun": "All"}
    )
    assert plane.cluster.trace.last == before
    assert plane.clock.cause == 0


def test_the_ring_is_bounded_and_says_what_it_has_no_more() -> None:
    plane = Plane()
    for number in range(MOST + 10):
        plane.client.patch("namespaces", "default", {"metadata": {"labels": {"n": str(number)}}})
    plane.settle()
    trace = plane.cluster.trace
    entries = trace.since(0)
    assert len(entries) == MOST
    assert entries[0].id == trace.oldest > 10
    assert trace.get(trace.oldest - 1) is None
    assert trace.get(trace.last) == entries[-1]
    assert trace.since(trace.last) == []
    assert [each.id for each in trace.since(trace.last - 2)] == [trace.last - 1, trace.last]


def test_who_waits_is_told_once(plane: Plane) -> None:
    told: list[int] = []
    plane.cluster.trace.when_more(lambda: told.append(1))
    back = plane.cluster.trace.when_more(lambda: told.append(2))
    back()
    web(plane)
    assert told == [1]


def test_differences_name_fields_and_hide_secrets() -> None:
    old = {"metadata": {"name": "a"}, "spec": {"replicas": 1, "x": {"y": 1}}, "status": {}, "data": {"key": "old"}}
    new = {
        "metadata": {"name": "a", "labels": {}},
        "spec": {"x": {"y": 2}, "image": "i" * 100},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        "data": {"key": "new"},
    }
    assert difference(old, new) == f"labels, spec.x, spec.image: {'i' * 37}..., spec.replicas removed"
    del new["metadata"], new["spec"], old["spec"]
    new["metadata"] = old["metadata"]
    assert difference(old, new) == "Ready: True, data"
