"""Claims and volumes come together, stay together, and go as their policies say."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Obj
from tests.doubles.control_plane import Plane

CLAIMS, VOLUMES, CLASSES = "persistentvolumeclaims", "persistentvolumes", "storageclasses.storage.k8s.io"


@pytest.fixture
def plane() -> Plane:
    return Plane()


def volume(
    plane: Plane, name: str = "vol", size: str = "5Gi", labels: dict[str, str] | None = None, **rest: Any
) -> Obj:
    spec = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": "manual", **rest}
    spec.setdefault("hostPath", {"path": f"/{name}"})
    meta = {"name": name, "labels": labels or {}}
    made = plane.client.create(
        VOLUMES, {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": spec}
    )
    plane.settle()
    return made


def claim(plane: Plane, name: str = "data", size: str = "2Gi", **rest: Any) -> Obj:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "manual",
        "resources": {"requests": {"storage": size}},
    }
    spec = {key: value for key, value in {**spec, **rest}.items() if value is not None}
    made = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}
    found = plane.client.create(CLAIMS, made, "default")
    plane.settle()
    return found


def storage_class(plane: Plane, name: str, *, default: bool = False, **rest: Any) -> None:
    notes = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    made = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name, "annotations": notes}}
    plane.client.create(CLASSES, {**made, "provisioner": "example.org/disk", **rest})
    plane.settle()


def phase(plane: Plane, name: str = "data") -> str:
    return str(plane.client.get(CLAIMS, name, "default")["status"]["phase"])


def volume_phase(plane: Plane, name: str = "vol") -> str:
    return str(plane.client.get(VOLUMES, name)["status"]["phase"])


def bound_to(plane: Plane, name: str = "data") -> str:
    return str(plane.client.get(CLAIMS, name, "default")["spec"].get("volumeName", ""))


def test_the_smallest_volume_that_fits_is_taken(plane: Plane) -> None:
    for name, size in (("huge", "50Gi"), ("small", "1Gi"), ("right", "3Gi")):
        volume(plane, name, size)
    claim(plane)
    assert (bound_to(plane), phase(plane), volume_phase(plane, "right")) == ("right", "Bound", "Bound")
    assert plane.client.get(CLAIMS, "data", "default")["status"]["capacity"] == {"storage": "3Gi"}


@pytest.mark.parametrize(
    "rest",
    [
        {"storageClassName": "other"},
        {"accessModes": ["ReadWriteMany"]},
        {"volumeMode": "Block"},
        {"selector": {"matchLabels": {"disk": "fast"}}},
        {"resources": {"requests": {"storage": "6Gi"}}},
    ],
)
def test_what_does_not_suit_is_not_bound(plane: Plane, rest: dict[str, Any]) -> None:
    volume(plane)
    claim(plane, **rest)
    assert (bound_to(plane), phase(plane), volume_phase(plane)) == ("", "Pending", "Available")


def test_a_waiting_claim_is_bound_when_its_volume_comes(plane: Plane) -> None:
    claim(plane, storageClassName="", selector={"matchLabels": {"disk": "fast"}})
    why = "no persistent volumes available for this claim and no storage class is set"
    assert (phase(plane), plane.events("FailedBinding")) == ("Pending", [why])
    revision = plane.store.revision
    plane.settle(600)
    assert plane.store.revision == revision, "it is not looked at by the clock"
    volume(plane, storageClassName="", labels={"disk": "fast"})
    assert (bound_to(plane), phase(plane)) == ("vol", "Bound")


def test_a_claim_may_ask_for_a_volume_and_a_volume_for_a_claim(plane: Plane) -> None:
    volume(plane, "one")
    volume(plane, "two", claimRef={"namespace": "default", "name": "meant"})
    claim(plane, "asks", volumeName="one")
    claim(plane, "other")
    claim(plane, "meant")
    assert (bound_to(plane, "asks"), bound_to(plane, "other"), bound_to(plane, "meant")) == ("one", "", "two")
    claim(plane, "late", volumeName="one")
    assert (phase(plane, "late"), plane.events("FailedBinding")[-1]) == (
        "Pending",
        'volume "one" already bound to a different claim.',
    )
    volume(plane, "small", "1Gi")
    claim(plane, "big", volumeName="small")
    assert plane.events("VolumeMismatch") == ['Cannot bind to requested volume "small": requested PV is too small']


def test_a_kept_volume_is_released_and_free_again_once_its_claim_is_forgotten(plane: Plane) -> None:
    volume(plane)
    claim(plane)
    plane.client.delete(CLAIMS, "data", "default")
    plane.settle()
    assert volume_phase(plane) == "Released"
    claim(plane, "next")
    assert phase(plane, "next") == "Pending"
    plane.client.patch(VOLUMES, "vol", {"spec": {"claimRef": None}})
    plane.settle()
    assert (volume_phase(plane), bound_to(plane, "next")) == ("Bound", "vol")


@pytest.mark.parametrize(("path", "left"), [("/tmp/x", 0), ("/data", 1)])
def test_a_volume_to_be_deleted_goes_where_that_is_possible(plane: Plane, path: str, left: int) -> None:
    volume(plane, persistentVolumeReclaimPolicy="Delete", hostPath={"path": path})
    claim(plane)
    plane.client.delete(CLAIMS, "data", "default")
    plane.settle()
    assert len(plane.client.list(VOLUMES)) == left
    if left:
        why = "host_path deleter only supports /tmp/.+ but received provided /data"
        assert (volume_phase(plane), plane.events("VolumeFailedDelete")) == ("Failed", [why])


def test_a_claim_whose_volume_is_lost_says_so(plane: Plane) -> None:
    volume(plane)
    claim(plane)
    plane.client.patch(VOLUMES, "vol", {"metadata": {"finalizers": None}})
    plane.client.delete(VOLUMES, "vol")
    plane.settle()
    assert (plane.client.list(VOLUMES), phase(plane)) == ([], "Lost")
    assert plane.events("ClaimLost") == ["Bound claim has lost its PersistentVolume. Data on the volume is lost!"]


def test_a_claim_in_use_stays_until_its_pod_is_gone(plane: Plane) -> None:
    plane.node("one")
    volume(plane)
    claim(plane)
    plane.pod("user", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}])
    plane.settle(1)
    plane.client.delete(CLAIMS, "data", "default")
    plane.client.delete(VOLUMES, "vol")
    plane.settle(5)
    assert "deletionTimestamp" in plane.client.get(CLAIMS, "data", "default")["metadata"]
    assert "deletionTimestamp" in plane.client.get(VOLUMES, "vol")["metadata"]
    plane.client.delete("pods", "user", "default", gracePeriodSeconds=0)
    plane.settle()
    assert (plane.client.list(CLAIMS), plane.client.list(VOLUMES)) == ([], [])


def test_a_claim_made_before_there_was_a_default_class_gets_it(plane: Plane) -> None:
    claim(plane, "early", storageClassName=None)
    claim(plane, "none", storageClassName="")
    storage_class(plane, "std", default=True)
    claim(plane, "late", storageClassName=None)
    specs = {name: plane.client.get(CLAIMS, name, "default")["spec"] for name in ("early", "none", "late")}
    assert {name: spec["storageClassName"] for name, spec in specs.items()} == {
        "early": "std",
        "none": "",
        "late": "std",
    }
    told = [text for text in plane.events("ExternalProvisioning") if "'example.org/disk'" in text]
    assert len(told) >= 2
    notes = plane.client.get(CLAIMS, "late", "default")["metadata"]["annotations"]
    assert notes["volume.kubernetes.io/storage-provisioner"] == "example.org/disk"


def test_a_class_that_is_missing_or_makes_nothing(plane: Plane) -> None:
    claim(plane, "ghostly", storageClassName="ghost")
    storage_class(plane, "static", provisioner="kubernetes.io/no-provisioner")
    claim(plane, "static", storageClassName="static")
    assert plane.events("ProvisioningFailed") == [
        'storageclass.storage.k8s.io "ghost" not found',
        "no volume plugin matched name: kubernetes.io/no-provisioner",
    ]


def test_a_claim_grows_when_its_class_lets_it_and_waits_for_a_resizer(plane: Plane) -> None:
    storage_class(plane, "manual", allowVolumeExpansion=True)
    grow = {"spec": {"resources": {"requests": {"storage": "9Gi"}}}}
    claim(plane)
    with pytest.raises(StatusError, match="is immutable after creation"):
        plane.client.patch(CLAIMS, "data", grow, "default")
    volume(plane)
    plane.client.patch(CLAIMS, "data", grow, "default")
    plane.settle()
    assert plane.client.get(CLAIMS, "data", "default")["status"]["capacity"] == {"storage": "5Gi"}
    assert plane.events("ExternalExpanding") == ["waiting for an external controller to expand this PVC"]


def test_recycling_is_refused_by_name(plane: Plane) -> None:
    with pytest.raises(StatusError, match="the reclaim policy Recycle is not simulated here"):
        volume(plane, persistentVolumeReclaimPolicy="Recycle")


def test_many_volumes_and_claims_find_each_other(plane: Plane) -> None:
    for number in range(20):
        claim(plane, f"c{number}", size=f"{1 + number % 3}Gi")
    for number in range(20):
        spec = {"capacity": {"storage": "4Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "manual"}
        spec["hostPath"] = {"path": f"/{number}"}
        made = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"v{number}"}, "spec": spec}
        plane.client.create(VOLUMES, made)
    plane.settle()
    assert {each["status"]["phase"] for each in plane.client.list(CLAIMS)} == {"Bound"}
    assert len({bound_to(plane, f"c{number}") for number in range(20)}) == 20
