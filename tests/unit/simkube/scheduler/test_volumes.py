"""Where pods with claims go: what is there, what is bound late, what cannot be had."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.client.client import Obj
from simkube.scheduler.scheduler import BIND_TIMEOUT
from tests.doubles.control_plane import Plane
from tests.unit.simkube.scheduler.test_scheduler import where, why

CLAIMS, VOLUMES, CLASSES = "persistentvolumeclaims", "persistentvolumes", "storageclasses.storage.k8s.io"


@pytest.fixture
def plane() -> Plane:
    """Two nodes and a class without a provisioner, whose volumes are bound late."""
    plane = Plane()
    for name, zone in (("one", "east"), ("two", "west")):
        plane.node(name, labels={"zone": zone})
    storage_class(plane, "late", "kubernetes.io/no-provisioner")
    return plane


def storage_class(plane: Plane, name: str, provisioner: str, mode: str = "WaitForFirstConsumer", **rest: Any) -> None:
    made = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}, **rest}
    plane.client.create(CLASSES, {**made, "provisioner": provisioner, "volumeBindingMode": mode})


def volume(plane: Plane, name: str, zone: str = "", size: str = "5Gi", **rest: Any) -> Obj:
    spec: Obj = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": f"/{name}"}}
    spec |= {"storageClassName": "late", **rest}
    if zone:
        term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [term]}}
    made = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
    return plane.client.create(VOLUMES, made)


def claim(plane: Plane, name: str = "data", size: str = "1Gi", **rest: Any) -> Obj:
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "late", "resources": {"requests": {"storage": size}}}
    made = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": {**spec, **rest}}
    found = plane.client.create(CLAIMS, made, "default")
    plane.settle()
    return found


def pod(plane: Plane, name: str, *claims: str, **rest: Any) -> None:
    volumes = [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in claims]
    plane.pod(name, volumes=volumes, **rest)
    plane.settle(1)


def volume_of(plane: Plane, name: str = "data") -> str:
    return str(plane.client.get(CLAIMS, name, "default")["spec"].get("volumeName", ""))


def test_goes_where_a_volume_is_and_has_it_bound(plane: Plane) -> None:
    volume(plane, "west", zone="west")
    claim(plane)
    assert volume_of(plane) == ""
    pod(plane, "a", "data")
    assert (where(plane, "a"), volume_of(plane)) == ("two", "west")
    pod(plane, "b", "data")
    assert where(plane, "b") == "two"


def test_each_claim_of_a_pod_gets_a_volume_of_its_own(plane: Plane) -> None:
    volume(plane, "small", zone="west", size="2Gi")
    volume(plane, "large", zone="west", size="9Gi")
    volume(plane, "lone", zone="east", size="1Gi")
    for name in ("first", "second"):
        claim(plane, name)
    pod(plane, "a", "first", "second")
    assert (where(plane, "a"), {volume_of(plane, "first"), volume_of(plane, "second")}) == ("two", {"small", "large"})


def test_says_why_there_is_no_volume_and_tries_again_when_one_comes(plane: Plane) -> None:
    claim(plane)
    pod(plane, "a", "data")
    assert why(plane, "a").startswith(
        "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind. "
    )
    volume(plane, "east", zone="east")
    plane.settle(2)
    assert where(plane, "a") == "one"


def test_a_volume_elsewhere(plane: Plane) -> None:
    volume(plane, "west", zone="west")
    claim(plane)
    pod(plane, "a", "data", nodeSelector={"zone": "west"})
    pod(plane, "b", "data", nodeSelector={"zone": "east"})
    reasons = (
        "1 node(s) didn't match PersistentVolume's node affinity, 1 node(s) didn't match Pod's node affinity/selector"
    )
    assert why(plane, "b").startswith(f"0/2 nodes are available: {reasons}.")


def test_the_provisioner_is_told_the_node_and_waited_for(plane: Plane) -> None:
    storage_class(plane, "made", "example.org/disk")
    claim(plane, storageClassName="made")
    pod(plane, "a", "data", nodeSelector={"zone": "west"})
    waiting = plane.client.get(CLAIMS, "data", "default")
    assert waiting["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == "two"
    assert where(plane, "a") == ""
    ref = {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "data", "uid": waiting["metadata"]["uid"]}
    volume(plane, "made", storageClassName="made", claimRef={**ref, "apiVersion": "v1"})
    plane.settle()
    assert (where(plane, "a"), volume_of(plane)) == ("two", "made")


def test_gives_up_after_a_while(plane: Plane) -> None:
    storage_class(plane, "made", "example.org/disk")
    claim(plane, storageClassName="made")
    pod(plane, "a", "data")
    plane.settle(BIND_TIMEOUT + 1)
    assert plane.events("FailedScheduling") == [
        'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded'
    ]


def test_a_restarted_scheduler_goes_on_with_a_binding(plane: Plane) -> None:
    storage_class(plane, "made", "example.org/disk")
    bound = claim(plane, storageClassName="made")
    pod(plane, "a", "data")
    plane.cluster.stop_component("kube-scheduler")
    ref = {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "data", "uid": bound["metadata"]["uid"]}
    volume(plane, "made", storageClassName="made", claimRef={**ref, "apiVersion": "v1"})
    plane.settle(5)
    assert where(plane, "a") == ""
    plane.cluster.start_component("kube-scheduler")
    plane.settle(5)
    assert where(plane, "a")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (False, 'persistentvolumeclaim "data" not found. not found'),
        (True, "pod has unbound immediate PersistentVolumeClaims. not found"),
    ],
)
def test_claims_that_are_not_there_or_not_bound(plane: Plane, make: bool, problem: str) -> None:
    if make:
        claim(plane, storageClassName="")
    pod(plane, "a", "data")
    assert why(plane, "a") == f"0/2 nodes are available: {problem}"
    if not make:
        claim(plane, storageClassName="")
    volume(plane, "any", storageClassName="")
    plane.settle(2)
    assert where(plane, "a")


def test_a_driver_attaches_so_many_volumes_to_a_node_and_no_more(plane: Plane) -> None:
    driver = {"name": "disk.example.org", "nodeID": "one", "topologyKeys": [], "allocatable": {"count": 1}}
    node = {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": "one"}}
    plane.client.create("csinodes.storage.k8s.io", {**node, "spec": {"drivers": [driver]}})
    plane.client.patch("nodes", "two", {"spec": {"unschedulable": True}})
    for name in ("first", "second"):
        csi = {"driver": "disk.example.org", "volumeHandle": name}
        volume(plane, name, storageClassName="", hostPath=None, csi=csi)
        claim(plane, name, storageClassName="", volumeName=name)
        pod(plane, name, name)
    assert where(plane, "first") == "one"
    assert "1 node(s) exceed max volume count" in why(plane, "second")


def test_storage_capacity_is_asked_for_when_the_driver_tells_it(plane: Plane) -> None:
    storage_class(plane, "csi", "disk.example.org")
    driver = {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": "disk.example.org"}}
    plane.client.create("csidrivers.storage.k8s.io", {**driver, "spec": {"storageCapacity": True}})
    capacity = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIStorageCapacity",
        "metadata": {"name": "west"},
        "storageClassName": "csi",
        "nodeTopology": {"matchLabels": {"zone": "west"}},
        "capacity": "10Gi",
    }
    plane.client.create("csistoragecapacities.storage.k8s.io", capacity, "default")
    claim(plane, "fits", size="5Gi", storageClassName="csi")
    claim(plane, "huge", size="50Gi", storageClassName="csi")
    pod(plane, "a", "fits")
    pod(plane, "b", "huge")
    chosen = plane.client.get(CLAIMS, "fits", "default")["metadata"]["annotations"]
    assert chosen["volume.kubernetes.io/selected-node"] == "two"
    assert "2 node(s) did not have enough free storage" in why(plane, "b")
