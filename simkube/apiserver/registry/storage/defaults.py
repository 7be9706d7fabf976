"""Defaults of volumes, claims and the kinds of ``storage.k8s.io`` (``pkg/apis/core/v1``, ``pkg/apis/storage/v1``)."""

from __future__ import annotations

from simkube.client.client import Obj

_SOURCES: dict[str, dict[str, object]] = {
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def persistent_volume(obj: Obj) -> None:
    """A volume: kept when its claim goes, with a file system, pending."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    for source, values in _SOURCES.items():
        if isinstance(spec.get(source), dict):
            for name, value in values.items():
                spec[source].setdefault(name, value)
    obj.setdefault("status", {}).setdefault("phase", "Pending")


def claim(obj: Obj) -> None:
    """A claim: of a file system, pending."""
    claim_spec(obj.setdefault("spec", {}))
    obj.setdefault("status", {}).setdefault("phase", "Pending")


def claim_spec(spec: Obj) -> None:
    """What claims and claim templates have in common."""
    spec.setdefault("volumeMode", "Filesystem")
    spec.setdefault("resources", {})


def storage_class(obj: Obj) -> None:
    """A class: its volumes go with their claims, and are bound at once."""
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def csi_driver(obj: Obj) -> None:
    """A driver: volumes are attached, and last beyond a pod."""
    spec = obj.setdefault("spec", {})
    for name, value in (
        ("attachRequired", True),
        ("podInfoOnMount", False),
        ("storageCapacity", False),
        ("fsGroupPolicy", "ReadWriteOnceWithFSType"),
        ("requiresRepublish", False),
        ("seLinuxMount", False),
    ):
        spec.setdefault(name, value)
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


def volume_attachment(obj: Obj) -> None:
    """An attachment: its status is always there."""
    obj.setdefault("spec", {})
    obj.setdefault("status", {}).setdefault("attached", False)
