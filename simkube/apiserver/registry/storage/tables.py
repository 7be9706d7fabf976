"""The rows of volumes, claims, classes, CSI drivers, nodes and capacities, attachments."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.tables.cells import age_of, name_of
from simkube.apiserver.tables.columns import AGE, NAME, Cells, Column, Layout

Obj = dict[str, Any]

_SHORT = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_DEFAULT_MARKS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
UNSET = "<unset>"


def modes(given: list[str] | None) -> str:
    """Access modes by their short names, each once, in their usual order."""
    return ",".join(short for mode, short in _SHORT.items() if mode in (given or ()))


def _class(obj: Obj) -> str:
    beta = (obj.get("metadata", {}).get("annotations") or {}).get("volume.beta.kubernetes.io/storage-class")
    return str(beta if beta is not None else (obj.get("spec") or {}).get("storageClassName") or "")


def _status(obj: Obj) -> str:
    if obj.get("metadata", {}).get("deletionTimestamp"):
        return "Terminating"
    return str((obj.get("status") or {}).get("phase", ""))


def _volume(obj: Obj, now: float) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    bound = spec.get("claimRef")
    return [
        name_of(obj),
        (spec.get("capacity") or {}).get("storage", ""),
        modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _status(obj),
        f"{bound.get('namespace', '')}/{bound.get('name', '')}" if bound else "",
        _class(obj),
        spec.get("volumeAttributesClassName") or UNSET,
        status.get("reason", ""),
        age_of(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def _claim(obj: Obj, now: float) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    has = bool(spec.get("volumeName"))
    return [
        name_of(obj),
        _status(obj),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "") if has else "",
        modes(status.get("accessModes")) if has else "",
        _class(obj),
        spec.get("volumeAttributesClassName") or UNSET,
        age_of(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def _storage_class(obj: Obj, now: float) -> Cells:
    notes = obj.get("metadata", {}).get("annotations") or {}
    default = any(notes.get(mark) == "true" for mark in _DEFAULT_MARKS)
    return [
        f"{name_of(obj)} (default)" if default else name_of(obj),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or "Immediate",
        bool(obj.get("allowVolumeExpansion")),
        age_of(obj, now),
    ]


def _attributes_class(obj: Obj, now: float) -> Cells:
    return [name_of(obj), obj.get("driverName", ""), age_of(obj, now)]


def _driver(obj: Obj, now: float) -> Cells:
    spec = obj.get("spec") or {}
    tokens = ",".join(each.get("audience", "") for each in spec.get("tokenRequests") or ()) or UNSET
    return [
        name_of(obj),
        bool(spec.get("attachRequired", True)),
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        tokens,
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or ()) or "<none>",
        age_of(obj, now),
    ]


def _node(obj: Obj, now: float) -> Cells:
    return [name_of(obj), len((obj.get("spec") or {}).get("drivers") or ()), age_of(obj, now)]


def _capacity(obj: Obj, now: float) -> Cells:
    return [name_of(obj), obj.get("storageClassName", ""), obj.get("capacity") or UNSET, age_of(obj, now)]


def _attachment(obj: Obj, now: float) -> Cells:
    spec = obj.get("spec") or {}
    volume = (spec.get("source") or {}).get("persistentVolumeName") or ""
    attached = bool((obj.get("status") or {}).get("attached"))
    return [name_of(obj), spec.get("attacher", ""), volume, spec.get("nodeName", ""), attached, age_of(obj, now)]


PERSISTENT_VOLUMES = Layout(
    (
        NAME,
        Column("Capacity", field="core.v1.PersistentVolumeSpec.capacity"),
        Column("Access Modes", field="core.v1.PersistentVolumeSpec.accessModes"),
        Column("Reclaim Policy", field="core.v1.PersistentVolumeSpec.persistentVolumeReclaimPolicy"),
        Column("Status", field="core.v1.PersistentVolumeStatus.phase"),
        Column("Claim", field="core.v1.PersistentVolumeSpec.claimRef"),
        Column("StorageClass", "StorageClass of the pv"),
        Column("VolumeAttributesClass", "VolumeAttributesClass of the pv"),
        Column("Reason", field="core.v1.PersistentVolumeStatus.reason"),
        AGE,
        Column("VolumeMode", field="core.v1.PersistentVolumeSpec.volumeMode", wide=True),
    ),
    _volume,
)
CLAIMS = Layout(
    (
        NAME,
        Column("Status", field="core.v1.PersistentVolumeClaimStatus.phase"),
        Column("Volume", field="core.v1.PersistentVolumeClaimSpec.volumeName"),
        Column("Capacity", field="core.v1.PersistentVolumeClaimStatus.capacity"),
        Column("Access Modes", field="core.v1.PersistentVolumeClaimStatus.accessModes"),
        Column("StorageClass", "StorageClass of the pvc"),
        Column("VolumeAttributesClass", "VolumeAttributesClass of the pvc"),
        AGE,
        Column("VolumeMode", field="core.v1.PersistentVolumeClaimSpec.volumeMode", wide=True),
    ),
    _claim,
)
STORAGE_CLASSES = Layout(
    (
        NAME,
        Column("Provisioner", field="storage.v1.StorageClass.provisioner"),
        Column("ReclaimPolicy", field="storage.v1.StorageClass.reclaimPolicy"),
        Column("VolumeBindingMode", field="storage.v1.StorageClass.volumeBindingMode"),
        Column("AllowVolumeExpansion", field="storage.v1.StorageClass.allowVolumeExpansion"),
        AGE,
    ),
    _storage_class,
)
ATTRIBUTES_CLASSES = Layout(
    (NAME, Column("DriverName", field="storage.v1.VolumeAttributesClass.driverName"), AGE), _attributes_class
)
CSI_DRIVERS = Layout(
    (
        NAME,
        Column("AttachRequired", field="storage.v1.CSIDriverSpec.attachRequired", type="boolean"),
        Column("PodInfoOnMount", field="storage.v1.CSIDriverSpec.podInfoOnMount", type="boolean"),
        Column("StorageCapacity", field="storage.v1.CSIDriverSpec.storageCapacity", type="boolean"),
        Column("TokenRequests", field="storage.v1.CSIDriverSpec.tokenRequests"),
        Column("RequiresRepublish", field="storage.v1.CSIDriverSpec.requiresRepublish", type="boolean"),
        Column("Modes", field="storage.v1.CSIDriverSpec.volumeLifecycleModes"),
        AGE,
    ),
    _driver,
)
CSI_NODES = Layout(
    (
        NAME,
        Column("Drivers", "Drivers indicates the number of CSI drivers registered on the node", type="integer"),
        AGE,
    ),
    _node,
)
CSI_CAPACITIES = Layout(
    (
        NAME,
        Column("StorageClassName", field="storage.v1.CSIStorageCapacity.storageClassName"),
        Column("Capacity", field="storage.v1.CSIStorageCapacity.capacity"),
        AGE,
    ),
    _capacity,
)
ATTACHMENTS = Layout(
    (
        NAME,
        Column("Attacher", field="storage.v1.VolumeAttachmentSpec.attacher", format="name"),
        Column("PV", field="storage.v1.VolumeAttachmentSource.persistentVolumeName"),
        Column("Node", field="storage.v1.VolumeAttachmentSpec.nodeName"),
        Column("Attached", field="storage.v1.VolumeAttachmentStatus.attached", type="boolean"),
        AGE,
    ),
    _attachment,
)
