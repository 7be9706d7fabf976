"""What is decided about volumes and claims with a look at other objects, and what the server notes of them itself.

After the admission plugins StorageObjectInUseProtection, DefaultStorageClass and PersistentVolumeClaimResize, and the
strategy of persistent volumes.
"""

from __future__ import annotations

from simkube.apimachinery.errors import forbidden, not_simulated
from simkube.apiserver.registry.storage.validate_volumes import milli_of
from simkube.apiserver.request import Request
from simkube.client.client import Obj
from simkube.component_helpers.volumebinding import CLAIMS, CLASSES, PROTECTION, VOLUMES, default_class, has_class
from simkube.etcd.store import Store

_NO_RESIZE = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


def admit_new(storage: str, obj: Obj, store: Store) -> None:
    """A new volume or claim is protected while it is in use; a claim of no class gets the default one."""
    finalizer = PROTECTION.get(storage)
    if finalizer is None:
        return
    finalizers = obj["metadata"].setdefault("finalizers", [])
    if finalizer not in finalizers:
        finalizers.append(finalizer)
    if storage == VOLUMES:
        reclaimable(obj)
    if storage == CLAIMS and not has_class(obj):
        name = default_class(store.objects(CLASSES))
        if name:
            obj["spec"]["storageClassName"] = name


def reclaimable(volume: Obj) -> None:
    """501 for the policy that nothing here carries out (and that Kubernetes advises against)."""
    if volume["spec"].get("persistentVolumeReclaimPolicy") == "Recycle":
        raise not_simulated("the reclaim policy Recycle")


def may_grow(request: Request, new: Obj, old: Obj, store: Store) -> None:
    """A claim grows once it is bound, and when its class allows it."""
    if milli_of(_requests(new)) <= milli_of(_requests(old)):
        return
    name = old["metadata"]["name"]
    if (old.get("status") or {}).get("phase") != "Bound":
        raise forbidden(request.resource.plural, name, "Only bound persistent volume claims can be expanded")
    found = store.get(CLASSES, "", new["spec"].get("storageClassName") or "")
    if found is None or not found.get("allowVolumeExpansion"):
        raise forbidden(request.resource.plural, name, _NO_RESIZE)


def _requests(claim: Obj) -> Obj:
    found: Obj = (claim["spec"].get("resources") or {}).get("requests") or {}
    return found


def note_phase(new: Obj, old: Obj | None, now: str) -> None:
    """When a volume's phase changed last."""
    status = new.setdefault("status", {})
    before = (old or {}).get("status") or {}
    if old is None or status.get("phase") != before.get("phase"):
        status["lastPhaseTransitionTime"] = now
    elif "lastPhaseTransitionTime" in before:
        status.setdefault("lastPhaseTransitionTime", before["lastPhaseTransitionTime"])


def note_gates(pod: Obj, now: str) -> None:
    """A new pod with scheduling gates says so in its conditions."""
    if pod["spec"].get("schedulingGates"):
        pod["status"]["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "lastProbeTime": None,
                "lastTransitionTime": now,
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
        ]


__all__ = ["CLAIMS", "PROTECTION", "VOLUMES", "admit_new", "may_grow", "note_gates", "note_phase", "reclaimable"]
