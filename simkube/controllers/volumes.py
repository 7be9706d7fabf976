"""The persistent volume controller: brings claims and volumes together and says why it cannot.

Both sides know of each other when it is done: the volume's ``claimRef``, then the claim's ``volumeName``. A claim that
waits is looked at again when a volume or class of its kind appears, never by the clock. It makes no volumes: it asks
the provisioner that the class names. Source: ``pkg/controller/volume/persistentvolume/pv_controller.go``.
"""

from __future__ import annotations

import re
from collections.abc import Hashable

from simkube.client.client import Event, Obj, copy_of
from simkube.component_helpers import pods as podstate
from simkube.component_helpers.volumebinding import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    CLASSES,
    NO_PROVISIONER,
    PROVISIONED_BY,
    PROVISIONERS,
    SELECTED_NODE,
    best,
    by_claim,
    class_of,
    default_class,
    has_class,
    is_default,
    is_for,
    is_late,
    mismatch,
    notes,
    reference,
    suits,
)
from simkube.controllers.controller import Controller

_EXTERNAL = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system "
    "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly "
    "registered."
)
_DELETABLE = re.compile(r"^/tmp/.+")


class PersistentVolumeController(Controller):
    """Keys are ``("claim", namespace, name)`` and ``("volume", name)``."""

    name = "persistentvolume-binder-controller"
    reporter = "persistentvolume-controller"

    def watch(self) -> None:
        """Classes and pods are looked up; a change of a claim or a volume is reconciled."""
        self.pods = self.client.informer("pods")
        by_claim(self.pods)
        self.volumes = self.client.informer("persistentvolumes")
        self.volumes.add_index("class", lambda volume: (class_of(volume),))
        self.claims = self.client.informer("persistentvolumeclaims")
        self.claims.add_index("unbound", lambda claim: () if BIND_COMPLETED in notes(claim) else (class_of(claim),))
        self.classes = self.client.observe(CLASSES, self._class_changed)
        self.client.observe("persistentvolumes", self._volume_changed)
        self.client.observe("persistentvolumeclaims", self._claim_changed)

    def _class_changed(self, event: Event) -> None:
        if event.type != "DELETED" and (event.old is None or notes(event.old) != notes(event.obj)):
            self._wake(event.obj["metadata"]["name"])
            if is_default(event.obj):
                self._wake("")

    def _wake(self, class_name: str) -> None:
        """Look again at the claims of a class that wait."""
        for claim in self.claims.indexed("unbound", class_name):
            self._enqueue_claim(claim)

    def _enqueue_claim(self, claim: Obj) -> None:
        self.enqueue(("claim", claim["metadata"]["namespace"], claim["metadata"]["name"]))

    def _volume_changed(self, event: Event) -> None:
        volume = event.obj
        ref = volume["spec"].get("claimRef")
        if event.type != "DELETED":
            self.enqueue(("volume", volume["metadata"]["name"]))
        if ref and (event.type == "DELETED" or event.old is None):
            self.enqueue(("claim", ref.get("namespace", ""), ref.get("name", "")))

    def _claim_changed(self, event: Event) -> None:
        claim, old = event.obj, event.old
        if event.type != "DELETED" and (old is None or old["spec"] != claim["spec"] or notes(old) != notes(claim)):
            self._enqueue_claim(claim)
        if claim["spec"].get("volumeName") and (old is None or event.type == "DELETED"):
            self.enqueue(("volume", claim["spec"]["volumeName"]))

    def reconcile(self, key: Hashable) -> None:
        """One claim, or one volume."""
        assert isinstance(key, tuple)
        if key[0] == "volume":
            volume = self.volumes.get("", key[1])
            if volume is not None:
                self._sync_volume(volume)
            return
        claim = self.claims.get(key[1], key[2])
        if claim is None:
            return
        if BIND_COMPLETED in notes(claim):
            self._sync_bound(claim)
        elif claim["spec"].get("volumeName"):
            self._sync_named(claim)
        else:
            self._sync_unbound(claim)

    # claims

    def _sync_unbound(self, claim: Obj) -> None:
        if not has_class(claim) and self._assign_class(claim):
            return
        name = class_of(claim)
        found = self.classes.get("", name) if name else None
        late = is_late(found)
        volume = best(claim, self.volumes.indexed("class", name), late=late)
        if volume is not None:
            self._bind(volume, claim)
            return
        if late and SELECTED_NODE not in notes(claim):
            self._tell_waiting(claim)
        elif name:
            self._ask_provisioner(claim, name, found)
        else:
            message = "no persistent volumes available for this claim and no storage class is set"
            self.recorder.event(claim, "Normal", "FailedBinding", message)
        self._claim_phase(claim, "Pending")

    def _assign_class(self, claim: Obj) -> bool:
        """A claim made before there was a default class gets it now."""
        name = default_class(self.classes.list())
        if not name:
            return False
        meta = claim["metadata"]
        patch = {"metadata": {"resourceVersion": meta["resourceVersion"]}, "spec": {"storageClassName": name}}
        self.client.patch("persistentvolumeclaims", meta["name"], patch, meta["namespace"])
        return True

    def _tell_waiting(self, claim: Obj) -> None:
        meta = claim["metadata"]
        users = self.pods.indexed("claim", (meta["namespace"], meta["name"]))
        waiting = sorted(
            pod["metadata"]["name"]
            for pod in users
            if not pod["spec"].get("nodeName") and podstate.phase(pod) not in podstate.FINISHED
        )
        if waiting:
            which = f"pod {waiting[0]}" if len(waiting) == 1 else f"pods {','.join(waiting)}"
            self.recorder.event(claim, "Normal", "WaitForPodScheduled", f"waiting for {which} to be scheduled")
        else:
            message = "waiting for first consumer to be created before binding"
            self.recorder.event(claim, "Normal", "WaitForFirstConsumer", message)

    def _ask_provisioner(self, claim: Obj, name: str, found: Obj | None) -> None:
        if found is None:
            message = f'storageclass.storage.k8s.io "{name}" not found'
            self.recorder.event(claim, "Warning", "ProvisioningFailed", message)
            return
        provisioner = found["provisioner"]
        if provisioner == NO_PROVISIONER or provisioner.startswith("kubernetes.io/"):
            message = f"no volume plugin matched name: {provisioner}"
            self.recorder.event(claim, "Warning", "ProvisioningFailed", message)
            return
        wanted = dict.fromkeys(PROVISIONERS, provisioner)
        self.recorder.event(claim, "Normal", "ExternalProvisioning", _EXTERNAL.format(provisioner))
        if any(notes(claim).get(key) != provisioner for key in wanted):
            meta = claim["metadata"]
            patch = {"metadata": {"resourceVersion": meta["resourceVersion"], "annotations": wanted}}
            self.client.patch("persistentvolumeclaims", meta["name"], patch, meta["namespace"])

    def _sync_named(self, claim: Obj) -> None:
        """A claim that asks for one volume by its name."""
        name = claim["spec"]["volumeName"]
        volume = self.volumes.get("", name)
        if volume is None:
            self._claim_phase(claim, "Pending")
        elif not volume["spec"].get("claimRef"):
            problem = mismatch(volume, claim)
            if problem:
                message = f'Cannot bind to requested volume "{name}": {problem}'
                self.recorder.event(claim, "Warning", "VolumeMismatch", message)
                self._claim_phase(claim, "Pending")
            else:
                self._bind(volume, claim)
        elif is_for(volume, claim):
            self._bind(volume, claim)
        else:
            message = f'volume "{name}" already bound to a different claim.'
            self.recorder.event(claim, "Warning", "FailedBinding", message)
            self._claim_phase(claim, "Pending")

    def _sync_bound(self, claim: Obj) -> None:
        name = claim["spec"].get("volumeName")
        if not name:
            why = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
            self._lose(claim, "ClaimLost", why)
            return
        volume = self.volumes.get("", name)
        if volume is None:
            self._lose(claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
        elif not volume["spec"].get("claimRef") or is_for(volume, claim):
            self._bind(volume, claim)
        else:
            why = "Two claims are bound to the same volume, this one is bound incorrectly"
            self._lose(claim, "ClaimMisbound", why)

    def _lose(self, claim: Obj, reason: str, why: str) -> None:
        if (claim.get("status") or {}).get("phase") != "Lost":
            self._claim_phase(claim, "Lost")
            self.recorder.event(claim, "Warning", reason, why)

    def _claim_phase(self, claim: Obj, phase: str, volume: Obj | None = None) -> None:
        status = dict(claim.get("status") or {})
        status["phase"] = phase
        if volume is None:
            for name in ("accessModes", "capacity"):
                status.pop(name, None)
        else:
            status["accessModes"] = volume["spec"].get("accessModes")
            if (claim.get("status") or {}).get("phase") != "Bound" or "capacity" not in status:
                status["capacity"] = volume["spec"].get("capacity")
        if status != claim.get("status"):
            self.client.update("persistentvolumeclaims", {**claim, "status": status}, subresource="status")

    # both

    def _bind(self, volume: Obj, claim: Obj) -> None:
        """Volume to claim, claim to volume; each half is left alone where it is done."""
        volume = self._point(volume, claim)
        volume = self._volume_phase(volume, "Bound")
        name = volume["metadata"]["name"]
        if claim["spec"].get("volumeName") != name or BIND_COMPLETED not in notes(claim):
            new = copy_of(claim)
            marks = new["metadata"].setdefault("annotations", {})
            if claim["spec"].get("volumeName") != name:
                new["spec"]["volumeName"] = name
                marks[BOUND_BY_CONTROLLER] = "yes"
            marks[BIND_COMPLETED] = "yes"
            claim = self.client.update("persistentvolumeclaims", new)
        self._claim_phase(claim, "Bound", volume)

    def _point(self, volume: Obj, claim: Obj) -> Obj:
        ref = volume["spec"].get("claimRef")
        if ref and ref.get("uid") == claim["metadata"]["uid"]:
            return volume
        new = copy_of(volume)
        new["spec"]["claimRef"] = reference(claim)
        if not ref:
            new["metadata"].setdefault("annotations", {})[BOUND_BY_CONTROLLER] = "yes"
        return self.client.update("persistentvolumes", new)

    # volumes

    def _volume_phase(self, volume: Obj, phase: str, message: str = "") -> Obj:
        status = dict(volume.get("status") or {})
        if status.get("phase") == phase and status.get("message", "") == message:
            return volume
        status["phase"] = phase
        status.pop("message", None)
        if message:
            status["message"] = message
        return self.client.update("persistentvolumes", {**volume, "status": status}, subresource="status")

    def _sync_volume(self, volume: Obj) -> None:
        ref = volume["spec"].get("claimRef")
        if not ref or not ref.get("uid"):
            if _phase(volume) != "Available":
                self._volume_phase(volume, "Available")
            elif ref:
                self.enqueue(("claim", ref.get("namespace", ""), ref.get("name", "")))
            else:
                self._offer(volume)
            return
        claim = self.claims.get(ref.get("namespace", ""), ref.get("name", ""))
        if claim is None or claim["metadata"]["uid"] != ref["uid"]:
            self._release(volume)
        elif not claim["spec"].get("volumeName"):
            self._enqueue_claim(claim)
        elif claim["spec"]["volumeName"] == volume["metadata"]["name"]:
            self._volume_phase(volume, "Bound")
        elif PROVISIONED_BY in notes(volume) and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            self._release(volume)
        else:
            self._unbind(volume)

    def _offer(self, volume: Obj) -> None:
        """Let the first claim that waits for such a volume choose, and then the next, until one chooses this one."""
        if "deletionTimestamp" in volume["metadata"] or is_late(self.classes.get("", class_of(volume))):
            return
        for claim in self.claims.indexed("unbound", class_of(volume)):
            if not claim["spec"].get("volumeName") and suits(volume, claim):
                self._sync_unbound(claim)
                self.enqueue(("volume", volume["metadata"]["name"]))
                return

    def _unbind(self, volume: Obj) -> None:
        """The claim went elsewhere: what the controller wrote goes, what a person wrote stays."""
        new = copy_of(volume)
        if notes(volume).get(BOUND_BY_CONTROLLER):
            new["spec"].pop("claimRef")
            new["metadata"]["annotations"].pop(BOUND_BY_CONTROLLER)
        else:
            new["spec"]["claimRef"].pop("uid")
        self._volume_phase(self.client.update("persistentvolumes", new), "Available")

    def _release(self, volume: Obj) -> None:
        if _phase(volume) not in ("Released", "Failed"):
            volume = self._volume_phase(volume, "Released")
        policy = volume["spec"].get("persistentVolumeReclaimPolicy")
        if policy != "Delete" or PROVISIONED_BY in notes(volume) or "csi" in volume["spec"]:
            return  # kept, or its provisioner's to delete
        name = volume["metadata"]["name"]
        path = (volume["spec"].get("hostPath") or {}).get("path")
        if path is None:
            why = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
        elif _DELETABLE.match(path):
            self.client.delete("persistentvolumes", name, preconditions={"uid": volume["metadata"]["uid"]})
            return
        else:
            why = f"host_path deleter only supports /tmp/.+ but received provided {path}"
        if _phase(volume) != "Failed":
            self._volume_phase(volume, "Failed", why)
            self.recorder.event(volume, "Warning", "VolumeFailedDelete", why)


def _phase(volume: Obj) -> str:
    return str((volume.get("status") or {}).get("phase", ""))
