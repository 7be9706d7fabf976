"""What was healthy and was touched is told, with what became of it, and nothing else is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from grader import inventory
from grader.clock import WallClock
from grader.collateral import Collateral, touched
from grader.errors import CheckFailedForGood, Refused, Ungradable
from grader.evidence import Evidence

Objects = dict[str, list[dict[str, Any]]]


class Connection:
    """A cluster of objects by the last part of their path; a kind that is not there is not served."""

    def __init__(self, objects: Objects, more: str = "") -> None:
        self.objects, self.more = objects, more

    def get(self, path: str, **_: Any) -> dict[str, Any]:
        kind = path.rpartition("/")[2]
        if kind == "cronjobs":
            raise Refused("404 page not found", 404)
        return {"items": self.objects.get(kind, []), "metadata": {"continue": "x"} if kind == self.more else {}}


def thing(name: str, namespace: str = "shop", **parts: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": "1", **parts.pop("meta", {})}
    return {"metadata": {key: value for key, value in meta.items() if value}, **parts}


@pytest.fixture
def objects() -> Objects:
    """A shop: a healthy front end behind a Service, a database that is down, a Secret, a node."""
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    owner = {"ownerReferences": [{"kind": "ReplicaSet", "name": "web-1", "uid": "uid-web-1", "controller": True}]}
    return {
        "nodes": [thing("one", "", spec={"podCIDR": "10.0.0.0/24"}, status=ready)],
        "deployments": [
            thing("web", spec={"replicas": 2, "template": {"a": 1}}, status={"readyReplicas": 2}),
            thing("db", spec={"replicas": 1}, status={}),
        ],
        "pods": [thing("web-1-abc", meta=owner, status=ready)],
        "services": [thing("web", spec={"selector": {"app": "web"}})],
        "endpoints": [thing("web", subsets=[{"addresses": [{"ip": "10.0.0.1"}]}])],
        "secrets": [thing("password", data={"p": "aHVudGVyMg=="})],
        "configmaps": [thing("kube-root-ca.crt", data={"ca": "x"})],
    }


def found(before: Objects, change: Callable[[Objects], None], *but: str) -> list[str]:
    after = copy.deepcopy(before)
    change(after)
    looks = [inventory.take(Connection(one)) for one in (before, after)]  # type: ignore[arg-type] # as much as is used
    return [str(one) for one in touched(*looks, but)]


def test_an_inventory_holds_no_values_and_nothing_that_controllers_make(objects: Objects) -> None:
    kept = inventory.take(Connection(objects))  # type: ignore[arg-type] # as above
    assert sorted(kept) == [
        "Deployment shop/db",
        "Deployment shop/web",
        "Node one",
        "Secret shop/password",
        "Service shop/web",
    ]
    assert "aHVudGVyMg" not in str(kept)
    assert [what for what, one in kept.items() if not one["healthy"]] == ["Deployment shop/db"]


def test_what_is_as_it_was_is_not_told_whatever_the_cluster_adds(objects: Objects) -> None:
    def pass_time(after: Objects) -> None:
        meta = after["deployments"][0]["metadata"]
        meta |= {"resourceVersion": "9", "generation": 3, "annotations": {"deployment.kubernetes.io/revision": "2"}}
        after["nodes"][0]["spec"]["taints"] = [{"key": "node.kubernetes.io/not-ready"}]
        after["services"].append(thing("new", spec={"selector": {"app": "new"}}))

    assert found(objects, pass_time) == []


def test_what_was_down_may_be_put_right_by_any_means(objects: Objects) -> None:
    def mend(after: Objects) -> None:
        after["deployments"][1] = thing("db", meta={"uid": "another"}, spec={"replicas": 3, "template": {"b": 2}})

    assert found(objects, mend) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda after: after["secrets"].clear(), "'Secret shop/password' was deleted"),
        (
            lambda after: after["deployments"][0]["metadata"].update(uid="another"),
            "'Deployment shop/web' was deleted and made again",
        ),
        (
            lambda after: after["deployments"][0]["spec"].update(replicas=1, paused=True),
            "'Deployment shop/web' was changed: 'spec.paused, spec.replicas'",
        ),
        (lambda after: after["secrets"][0]["data"].update(p="x"), "'Secret shop/password' was changed: 'data'"),
        (lambda after: after["nodes"][0]["spec"].update(unschedulable=True), "'Node one' was changed"),
        (lambda after: after["endpoints"][0]["subsets"].clear(), "'Service shop/web' is no longer healthy"),
        (
            lambda after: after["deployments"][0]["status"].update(readyReplicas=1),
            "'Deployment shop/web' is no longer healthy",
        ),
    ],
)
def test_what_was_healthy_and_was_touched_is_told(
    objects: Objects, change: Callable[[Objects], None], told: str
) -> None:
    (one,) = found(objects, change)
    assert told.replace("'", "") in one.replace('"', "").replace("'", "")
    assert found(objects, change, "* shop/*", "Node *") == []


def test_without_a_look_at_the_start_nothing_is_decided(objects: Objects) -> None:
    evidence, looked = Evidence(WallClock()), []
    connection: Any = Connection(objects)
    unknown = Collateral(connection, {}, evidence, lambda: looked.append(1))
    with pytest.raises(Ungradable, match="collateral: true"):
        unknown()
    before = unknown.look()
    del connection.objects["services"]
    (one,) = unknown(before)
    assert (one.what, one.how) == ("Service shop/web", "was deleted")
    assert evidence.entries[-1]["touched"] == [str(one)]
    assert [str(each) for each in Collateral(connection, before, evidence, lambda: None)()] == [str(one)]


def test_a_flood_is_not_taken_for_a_deletion(objects: Objects) -> None:
    connection: Any = Connection(objects, more="configmaps")
    with pytest.raises(CheckFailedForGood, match="at most 500 objects of the kind ConfigMap"):
        inventory.take(connection)
