"""A cluster comes back to its starting state, or says what stands in the way."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest

from labs.clusters.dynamic_client import APIError, Resource, key_of
from labs.clusters.kind import baseline

VERBS = frozenset({"list", "delete", "create"})
KINDS = {
    kind: Resource(prefix, f"{kind.lower()}s", kind, namespaced, VERBS)
    for kind, prefix, namespaced in [
        ("ConfigMap", "/api/v1", True),
        ("Pod", "/api/v1", True),
        ("Secret", "/api/v1", True),
        ("Node", "/api/v1", False),
        ("Namespace", "/api/v1", False),
        ("Event", "/api/v1", True),
        ("ReplicaSet", "/apis/apps/v1", True),
        ("ClusterRole", "/apis/rbac.authorization.k8s.io/v1", False),
    ]
}


class FakeCluster:
    """Keeps objects in memory; ``immutable`` kinds refuse to be replaced, ``stuck`` names never go."""

    def __init__(self, *objects: dict[str, Any], immutable: str = "", stuck: str = "") -> None:
        self.there: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.immutable, self.stuck = immutable, stuck
        self._numbers = itertools.count(1)
        for obj in objects:
            self.create(KINDS[obj["kind"]], obj)

    def resources(self) -> list[Resource]:
        return list(KINDS.values())

    def all_of(self, resource: Resource) -> list[dict[str, Any]]:
        return [copy.deepcopy(o) for o in self.there.values() if o["kind"] == resource.kind]

    def create(self, resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        meta = {**obj["metadata"], "uid": obj["metadata"].get("uid", f"uid-{number}"), "resourceVersion": str(number)}
        made = {**copy.deepcopy(obj), "apiVersion": resource.api_version, "metadata": meta}
        self.there[key_of(made)] = made
        return made

    def replace(self, resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
        if resource.kind == self.immutable:
            raise APIError(422, "field is immutable")
        self.there[key_of(obj)]["metadata"] |= obj["metadata"]
        self.there[key_of(obj)] |= {k: v for k, v in obj.items() if k != "metadata"}
        return obj

    def delete(self, resource: Resource, namespace: str, name: str, *, now: bool = False) -> None:
        if name != self.stuck:
            self.there.pop((f"{resource.api_version}/{resource.kind}", namespace, name), None)

    def request(self, method: str, path: str, body: object, *, content_type: str) -> dict[str, Any]:
        assert (method, body) == ("PATCH", {"metadata": {"finalizers": None}})
        for obj in self.there.values():
            if path.endswith("/" + obj["metadata"]["name"]):
                obj["metadata"].pop("finalizers", None)
        return {}


def thing(kind: str, name: str, namespace: str = "default", **fields: Any) -> dict[str, Any]:
    resource = KINDS[kind]
    meta = {"name": name, **({"namespace": namespace} if resource.namespaced else {}), **fields.pop("metadata", {})}
    return {"apiVersion": resource.api_version, "kind": kind, "metadata": meta, **fields}


def owned_by(kind: str, name: str, uid: str) -> dict[str, Any]:
    return {"ownerReferences": [{"kind": kind, "name": name, "uid": uid, "controller": True}]}


def names(cluster: FakeCluster) -> set[tuple[str, str]]:
    return {(o["kind"], o["metadata"]["name"]) for o in cluster.there.values()}


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster(
        thing("Namespace", "default"),
        thing("Node", "one", spec={"podCIDR": "10.0.0.0/24"}),
        thing("ConfigMap", "settings", data={"a": "1"}),
        thing("ClusterRole", "admin", rules=[]),
    )


def test_an_untouched_cluster_is_proven_at_once(cluster: FakeCluster) -> None:
    kept = baseline.take(cluster)
    before = copy.deepcopy(cluster.there)
    assert baseline.restore(cluster, kept, 0) == []
    assert cluster.there == before


def test_added_changed_and_removed_objects_are_undone(cluster: FakeCluster) -> None:
    kept = baseline.take(cluster)
    wanted = names(cluster)
    cluster.create(KINDS["ClusterRole"], thing("ClusterRole", "evil", rules=["*"]))
    cluster.create(KINDS["Pod"], thing("Pod", "lone"))
    cluster.there["v1/ConfigMap", "default", "settings"]["data"] = {"a": "2"}
    cluster.there["v1/Node", "", "one"]["spec"]["unschedulable"] = True
    del cluster.there["rbac.authorization.k8s.io/v1/ClusterRole", "", "admin"]

    assert baseline.restore(cluster, kept, 5) == []

    assert names(cluster) == wanted
    assert cluster.there["v1/ConfigMap", "default", "settings"]["data"] == {"a": "1"}
    assert not cluster.there["v1/Node", "", "one"]["spec"].get("unschedulable")


def test_an_immutable_object_is_made_anew(cluster: FakeCluster) -> None:
    kept = baseline.take(cluster)
    cluster.immutable = "ConfigMap"
    old = cluster.there["v1/ConfigMap", "default", "settings"]
    old["data"] = {"a": "2"}
    assert baseline.restore(cluster, kept, 5) == []
    new = cluster.there["v1/ConfigMap", "default", "settings"]
    assert new["data"] == {"a": "1"}
    assert new["metadata"]["uid"] != old["metadata"]["uid"]


def test_what_cannot_be_undone_is_named(cluster: FakeCluster) -> None:
    kept = baseline.take(cluster)
    cluster.stuck = "evil"
    cluster.create(KINDS["ClusterRole"], thing("ClusterRole", "evil"))
    assert baseline.restore(cluster, kept, 0) == ["clusterrole evil is still there"]


def test_finalizers_do_not_hold_an_added_object(cluster: FakeCluster) -> None:
    kept = baseline.take(cluster)
    cluster.create(KINDS["ConfigMap"], thing("ConfigMap", "held", metadata={"finalizers": ["x.io/never"]}))
    assert baseline.restore(cluster, kept, 5) == []
    assert ("ConfigMap", "held") not in names(cluster)


def test_objects_of_controllers_live_and_die_with_their_owner(cluster: FakeCluster) -> None:
    kept = baseline.take(cluster)
    cluster.create(KINDS["ReplicaSet"], thing("ReplicaSet", "web-1", metadata=owned_by("Deployment", "web", "gone")))
    assert baseline.restore(cluster, kept, 5) == []
    assert ("ReplicaSet", "web-1") not in names(cluster)


def test_pods_that_a_learner_may_have_been_in_are_renewed(cluster: FakeCluster) -> None:
    owner = cluster.create(KINDS["ReplicaSet"], thing("ReplicaSet", "web-1"))
    kept = baseline.take(cluster)
    owned = owned_by("ReplicaSet", "web-1", owner["metadata"]["uid"])
    cluster.create(KINDS["Pod"], thing("Pod", "web-1-x", metadata=owned))
    cluster.create(KINDS["Pod"], thing("Pod", "proxy", "kube-system", metadata=owned))
    assert baseline.restore(cluster, kept, 5) == []
    assert ("Pod", "web-1-x") not in names(cluster)
    assert ("Pod", "proxy") in names(cluster)


def test_what_the_control_plane_writes_for_itself_is_no_difference(cluster: FakeCluster) -> None:
    kept = baseline.take(cluster)
    cluster.create(KINDS["Event"], thing("Event", "something-happened"))
    cluster.there["v1/Node", "", "one"]["spec"]["taints"] = [
        {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    ]
    assert baseline.restore(cluster, kept, 0) == []
    assert ("Event", "something-happened") in names(cluster)
