"""What goes with its owner or its namespace, and what does not."""

from __future__ import annotations

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Obj
from tests.doubles.control_plane import Plane


@pytest.fixture
def plane() -> Plane:
    return Plane()


def make(plane: Plane, name: str, owner: Obj | None = None, *, blocks: bool = False, namespace: str = "default") -> Obj:
    meta: Obj = {"name": name}
    if owner is not None:
        ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"]}
        ref["uid"] = owner["metadata"]["uid"]
        meta["ownerReferences"] = [{**ref, "blockOwnerDeletion": True} if blocks else ref]
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    return plane.client.create("configmaps", obj, namespace)


def names(plane: Plane, namespace: str = "default") -> list[str]:
    found = (obj["metadata"]["name"] for obj in plane.client.list("configmaps", namespace))
    return sorted(name for name in found if name != "kube-root-ca.crt")


def hold(plane: Plane, name: str, *finalizers: str) -> None:
    patch = {"metadata": {"finalizers": list(finalizers) or None}}
    plane.client.patch("configmaps", name, patch, "default")


def test_background_takes_dependents_of_dependents(plane: Plane) -> None:
    owner = make(plane, "owner")
    make(plane, "grandchild", make(plane, "child", owner))
    plane.client.delete("configmaps", "owner", "default", propagationPolicy="Background")
    assert names(plane) == ["child", "grandchild"]
    plane.settle()
    assert names(plane) == []


def test_orphan_leaves_them_without_owner(plane: Plane) -> None:
    make(plane, "child", make(plane, "owner"))
    plane.client.delete("configmaps", "owner", "default", propagationPolicy="Orphan")
    plane.settle()
    assert names(plane) == ["child"]
    assert "ownerReferences" not in plane.client.get("configmaps", "child", "default")["metadata"]


def test_foreground_waits_for_what_blocks(plane: Plane) -> None:
    make(plane, "child", make(plane, "owner"), blocks=True)
    hold(plane, "child", "example.org/hold")
    plane.client.delete("configmaps", "owner", "default", propagationPolicy="Foreground")
    plane.settle()
    assert names(plane) == ["child", "owner"]
    assert "deletionTimestamp" in plane.client.get("configmaps", "child", "default")["metadata"]
    hold(plane, "child")
    plane.settle()
    assert names(plane) == []


def test_foreground_does_not_wait_for_what_does_not_block(plane: Plane) -> None:
    make(plane, "child", make(plane, "owner"))
    hold(plane, "child", "example.org/hold")
    plane.client.delete("configmaps", "owner", "default", propagationPolicy="Foreground")
    plane.settle()
    assert names(plane) == ["child"]


def test_an_owner_that_never_was_is_as_good_as_deleted(plane: Plane) -> None:
    make(plane, "child", {"metadata": {"name": "ghost", "uid": "11111111-2222-3333-4444-555555555555"}})
    plane.settle()
    assert names(plane) == []


def test_another_object_under_the_owners_name_is_not_the_owner(plane: Plane) -> None:
    owner = make(plane, "owner")
    make(plane, "child", {"metadata": {"name": "owner", "uid": "11111111-2222-3333-4444-555555555555"}})
    plane.settle()
    assert names(plane) == [owner["metadata"]["name"]]


def test_one_living_owner_is_enough(plane: Plane) -> None:
    first, second = make(plane, "first"), make(plane, "second")
    child = make(plane, "child", first)
    refs = child["metadata"]["ownerReferences"] + [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "second", "uid": second["metadata"]["uid"]}
    ]
    plane.client.patch("configmaps", "child", {"metadata": {"ownerReferences": refs}}, "default")
    plane.client.delete("configmaps", "first", "default")
    plane.settle()
    (left,) = plane.client.get("configmaps", "child", "default")["metadata"]["ownerReferences"]
    assert left["name"] == "second"


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_a_deployment_takes_everything_with_it(plane: Plane, policy: str) -> None:
    plane.node("one")
    plane.deploy()
    plane.settle()
    plane.client.delete("deployments.apps", "web", "default", propagationPolicy=policy)
    plane.settle()
    assert (plane.sets(), plane.pods()) == ([], [])


def test_what_was_to_go_goes_once_the_collector_is_back(plane: Plane) -> None:
    make(plane, "child", make(plane, "owner"))
    plane.cluster.stop_component("kube-controller-manager")
    plane.client.delete("configmaps", "owner", "default")
    plane.settle(60)
    assert names(plane) == ["child"]
    plane.cluster.start_component("kube-controller-manager")
    plane.settle()
    assert names(plane) == []


def namespace(plane: Plane, name: str = "team") -> Obj:
    return plane.client.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def test_a_namespace_gets_its_service_account_and_certificate_back(plane: Plane) -> None:
    namespace(plane)
    plane.settle()
    plane.client.delete("serviceaccounts", "default", "team")
    plane.client.patch("configmaps", "kube-root-ca.crt", {"data": {"ca.crt": "none"}}, "team")
    plane.settle()
    assert plane.client.get("serviceaccounts", "default", "team")
    assert plane.client.get("configmaps", "kube-root-ca.crt", "team")["data"] == {"ca.crt": "CA"}


def test_a_namespace_goes_with_all_that_is_in_it(plane: Plane) -> None:
    namespace(plane)
    plane.settle()
    make(plane, "a", namespace="team")
    plane.client.delete("namespaces", "team")
    plane.settle()
    with pytest.raises(StatusError, match='namespaces "team" not found'):
        plane.client.get("namespaces", "team")
    assert plane.client.list("configmaps", "team") == []


def test_a_namespace_says_what_it_waits_for(plane: Plane) -> None:
    namespace(plane)
    make(plane, "held", namespace="team")
    plane.client.patch("configmaps", "held", {"metadata": {"finalizers": ["example.org/hold"]}}, "team")
    plane.client.delete("namespaces", "team")
    plane.settle()
    said = {each["type"]: each["message"] for each in plane.client.get("namespaces", "team")["status"]["conditions"]}
    assert said["NamespaceContentRemaining"] == "Some resources are remaining: configmaps. has 1 resource instances"
    assert said["NamespaceFinalizersRemaining"] == (
        "Some content in the namespace has finalizers remaining: example.org/hold in 1 resource instances"
    )
    plane.client.patch("configmaps", "held", {"metadata": {"finalizers": None}}, "team")
    plane.settle()
    assert "team" not in [each["metadata"]["name"] for each in plane.client.list("namespaces")]
