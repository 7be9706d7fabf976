"""Which volume suits which claim: one rule, used by the controller that binds them and by the scheduler.

Source: ``k8s.io/component-helpers/storage/volume`` (FindMatchingVolume, IsVolumeBoundToClaim, GetBindVolumeToClaim).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from simkube.apimachinery.labels import matches, matches_node
from simkube.apimachinery.quantity import milli
from simkube.client.client import Informer

Obj = dict[str, Any]

VOLUMES, CLAIMS, CLASSES = "persistentvolumes", "persistentvolumeclaims", "storageclasses.storage.k8s.io"
PROTECTION = {VOLUMES: "kubernetes.io/pv-protection", CLAIMS: "kubernetes.io/pvc-protection"}
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONERS = ("volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner")
NO_PROVISIONER = "kubernetes.io/no-provisioner"
_CLASS_NOTE = "volume.beta.kubernetes.io/storage-class"
_DEFAULT_MARKS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)


def notes(obj: Obj) -> dict[str, str]:
    """The annotations of an object."""
    found: dict[str, str] = obj["metadata"].get("annotations") or {}
    return found


def class_of(obj: Obj) -> str:
    """The class of a claim or volume; "" for none."""
    return notes(obj).get(_CLASS_NOTE) or obj["spec"].get("storageClassName") or ""


def has_class(claim: Obj) -> bool:
    """Whether a claim names a class, be it the empty one that means none."""
    return "storageClassName" in claim["spec"] or _CLASS_NOTE in notes(claim)


def is_default(storage_class: Obj) -> bool:
    """Whether claims that name no class get this one."""
    return any(notes(storage_class).get(mark) == "true" for mark in _DEFAULT_MARKS)


def default_class(classes: Iterable[Obj]) -> str:
    """The name of the default class, the newest when there are several; "" when there is none."""
    marked = sorted((each["metadata"] for each in classes if is_default(each)), key=lambda meta: str(meta["name"]))
    newest = max(marked, key=lambda meta: str(meta.get("creationTimestamp", "")), default=None)
    return "" if newest is None else str(newest["name"])


def is_late(storage_class: Obj | None) -> bool:
    """Whether volumes of the class are bound only when a pod that uses them is placed."""
    return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


def is_fully_bound(claim: Obj) -> bool:
    """Whether both sides know each other."""
    return bool(claim["spec"].get("volumeName")) and BIND_COMPLETED in notes(claim)


def is_for(volume: Obj, claim: Obj) -> bool:
    """Whether the volume is meant for, or bound to, this claim."""
    ref, meta = volume["spec"].get("claimRef"), claim["metadata"]
    if not ref or (ref.get("namespace"), ref.get("name")) != (meta["namespace"], meta["name"]):
        return False
    return not ref.get("uid") or ref["uid"] == meta["uid"]


def size(amounts: Obj | None) -> int:
    """Storage in thousandths of a byte."""
    return milli((amounts or {}).get("storage", 0))


def wanted(claim: Obj) -> int:
    """What a claim asks for, in thousandths of a byte."""
    return size((claim["spec"].get("resources") or {}).get("requests"))


def mismatch(volume: Obj, claim: Obj) -> str:
    """Why a volume cannot serve a claim, in the controller's words; "" when it can."""
    spec, asked = volume["spec"], claim["spec"]
    if size(spec.get("capacity")) < wanted(claim):
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if (spec.get("volumeMode") or "Filesystem") != (asked.get("volumeMode") or "Filesystem"):
        return "incompatible volumeMode"
    if not set(asked.get("accessModes") or ()) <= set(spec.get("accessModes") or ()):
        return "incompatible accessMode"
    return ""


def reaches(volume: Obj, node: Obj) -> bool:
    """Whether a volume can be used on a node."""
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    meta = node["metadata"]
    return required is None or matches_node(required, meta.get("labels"), meta["name"])


def best(claim: Obj, volumes: Iterable[Obj], *, late: bool = False, node: Obj | None = None) -> Obj | None:
    """The volume a claim gets: the one meant for it, else the smallest that fits, of few modes rather than many.

    While binding is ``late`` and no ``node`` is chosen, only a volume meant for the claim counts.
    """
    fitting: list[tuple[int, int, str, Obj]] = []
    for volume in volumes:
        if node is not None and not reaches(volume, node):
            continue
        if is_for(volume, claim):
            if not mismatch(volume, claim):
                return volume
            continue
        if late and node is None:
            continue
        if _is_free(volume) and suits(volume, claim):
            spec = volume["spec"]
            modes, room = len(spec.get("accessModes") or ()), size(spec.get("capacity"))
            fitting.append((modes, room, volume["metadata"]["name"], volume))
    return min(fitting, key=lambda each: each[:3])[3] if fitting else None


def _is_free(volume: Obj) -> bool:
    if "deletionTimestamp" in volume["metadata"] or volume["spec"].get("claimRef"):
        return False
    return bool((volume.get("status") or {}).get("phase") == "Available")


def suits(volume: Obj, claim: Obj) -> bool:
    """Whether a free volume could serve a claim."""
    selector = claim["spec"].get("selector")
    if selector is not None and not matches(selector, volume["metadata"].get("labels")):
        return False
    attributes = volume["spec"].get("volumeAttributesClassName") or ""
    return not mismatch(volume, claim) and attributes == (claim["spec"].get("volumeAttributesClassName") or "")


def reference(claim: Obj) -> Obj:
    """What a volume's ``claimRef`` says of a claim."""
    meta = claim["metadata"]
    return {
        "kind": "PersistentVolumeClaim",
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
        "apiVersion": "v1",
        "resourceVersion": meta["resourceVersion"],
    }


def claim_names(pod: Obj) -> list[tuple[str, str, bool]]:
    """``(volume, claim, ephemeral)`` of each claim a pod uses."""
    found = []
    for volume in pod["spec"].get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            found.append((volume["name"], volume["persistentVolumeClaim"]["claimName"], False))
        elif volume.get("ephemeral"):
            found.append((volume["name"], f"{pod['metadata']['name']}-{volume['name']}", True))
    return found


def owns(pod: Obj, claim: Obj) -> bool:
    """Whether an ephemeral claim was made for this very pod."""
    uid = pod["metadata"]["uid"]
    return any(
        each.get("controller") and each.get("uid") == uid for each in claim["metadata"].get("ownerReferences") or ()
    )


def by_claim(pods: Informer) -> None:
    """Index pods as ``claim``: by the ``(namespace, name)`` of the claims they use."""

    def values(pod: Obj) -> Iterable[object]:
        if not pod["spec"].get("volumes"):
            return ()
        return [(pod["metadata"]["namespace"], name) for _, name, _ in claim_names(pod)]

    pods.add_index("claim", values)
