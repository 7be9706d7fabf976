"""Pods and the claims they use: protection of what is in use, and claims made for one pod.

Sources: ``pkg/controller/volume/pvcprotection``, ``pvprotection``, ``ephemeral``.
"""

from __future__ import annotations

from collections.abc import Hashable

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Event, Obj, copy_of, key_of
from simkube.component_helpers import pods as podstate
from simkube.component_helpers.volumebinding import CLAIMS, PROTECTION, VOLUMES, by_claim, claim_names, owns
from simkube.controllers.controller import Controller


class ClaimProtectionController(Controller):
    """Keys are ``(namespace, name)`` of claims: one that is deleted stays while a pod on a node uses it."""

    name = "persistentvolumeclaim-protection-controller"
    resource = "persistentvolumeclaims"

    def watch(self) -> None:
        """Claims, and the ends of the pods that use them."""
        self.pods = self.client.informer("pods")
        by_claim(self.pods)
        self.claims = self.client.observe(CLAIMS, self._claim_changed)
        self.client.observe("pods", self._pod_changed)

    def _claim_changed(self, event: Event) -> None:
        meta = event.obj["metadata"]
        protected = PROTECTION[CLAIMS] in (meta.get("finalizers") or ())
        if event.type != "DELETED" and protected == ("deletionTimestamp" in meta):
            self.enqueue(key_of(event.obj))

    def _pod_changed(self, event: Event) -> None:
        if event.type == "DELETED" and event.obj["spec"].get("volumes"):
            for _, name, _ in claim_names(event.obj):
                self.enqueue((event.obj["metadata"]["namespace"], name))

    def reconcile(self, key: Hashable) -> None:
        """Let go of a deleted claim that nobody uses; protect one that is not."""
        assert isinstance(key, tuple)
        claim = self.claims.get(*key)
        if claim is None:
            return
        if "deletionTimestamp" not in claim["metadata"]:
            _set_protection(self, CLAIMS, claim, wanted=True)
        elif not any(pod["spec"].get("nodeName") for pod in self.pods.indexed("claim", key)):
            _set_protection(self, CLAIMS, claim, wanted=False)


class VolumeProtectionController(Controller):
    """Keys are names of volumes: one that is deleted stays while it is bound."""

    name = "persistentvolume-protection-controller"
    resource = "persistentvolumes"

    def watch(self) -> None:
        """Volumes."""
        self.volumes = self.client.observe(VOLUMES, self._volume_changed)

    def _volume_changed(self, event: Event) -> None:
        meta = event.obj["metadata"]
        protected = PROTECTION[VOLUMES] in (meta.get("finalizers") or ())
        if event.type != "DELETED" and protected == ("deletionTimestamp" in meta):
            self.enqueue(meta["name"])

    def reconcile(self, key: Hashable) -> None:
        """Let go of a deleted volume that is not bound; protect one that is not deleted."""
        volume = self.volumes.get("", str(key))
        if volume is None:
            return
        if "deletionTimestamp" not in volume["metadata"]:
            _set_protection(self, VOLUMES, volume, wanted=True)
        elif (volume.get("status") or {}).get("phase") != "Bound":
            _set_protection(self, VOLUMES, volume, wanted=False)


def _set_protection(controller: Controller, resource: str, obj: Obj, *, wanted: bool) -> None:
    finalizer = PROTECTION[resource]
    there = list(obj["metadata"].get("finalizers") or ())
    if wanted == (finalizer in there):
        return
    new = copy_of(obj)
    new["metadata"]["finalizers"] = [*there, finalizer] if wanted else [each for each in there if each != finalizer]
    controller.client.update(resource, new)


class EphemeralVolumeController(Controller):
    """Keys are ``(namespace, name)`` of pods: each of their ephemeral volumes gets a claim that goes with the pod."""

    name = "ephemeral-volume-controller"
    resource = "pods"

    def watch(self) -> None:
        """Pods with ephemeral volumes, and the loss of their claims."""
        self.pods = self.client.informer("pods")
        by_claim(self.pods)
        self.claims = self.client.observe(CLAIMS, self._claim_changed)
        self.client.observe("pods", self._pod_changed)

    def _pod_changed(self, event: Event) -> None:
        pod = event.obj
        if event.old is not None or event.type == "DELETED" or not pod["spec"].get("volumes"):
            return
        if any(ephemeral for _, _, ephemeral in claim_names(pod)):
            self.enqueue(key_of(pod))

    def _claim_changed(self, event: Event) -> None:
        if event.type == "DELETED":
            for pod in self.pods.indexed("claim", key_of(event.obj)):
                self.enqueue(key_of(pod))

    def reconcile(self, key: Hashable) -> None:
        """Make what is missing."""
        assert isinstance(key, tuple)
        pod = self.pods.get(*key)
        if pod is None or "deletionTimestamp" in pod["metadata"] or podstate.phase(pod) in podstate.FINISHED:
            return
        for volume in pod["spec"].get("volumes") or ():
            if volume.get("ephemeral"):
                self._claim(pod, volume)

    def _claim(self, pod: Obj, volume: Obj) -> None:
        meta = pod["metadata"]
        name = f"{meta['name']}-{volume['name']}"
        there = self.claims.get(meta["namespace"], name)
        if there is not None:
            if not owns(pod, there):
                where = f"{meta['namespace']}/{name} was not created for pod {meta['namespace']}/{meta['name']}"
                why = f"ephemeral volume controller: PVC {where} (pod is not owner)"
                self.recorder.event(pod, "Warning", "FailedBinding", why)
            return
        template = volume["ephemeral"].get("volumeClaimTemplate") or {}
        owner = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
        given = {part: value for part in ("labels", "annotations") if (value := _of(template, part))}
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": name,
                "ownerReferences": [{**owner, "blockOwnerDeletion": True, "controller": True}],
                **given,
            },
            "spec": template.get("spec") or {},
        }
        try:
            self.client.create(CLAIMS, claim, meta["namespace"])
        except StatusError as error:
            why = f"ephemeral volume controller: create PVC {name}: {error.message}"
            self.recorder.event(pod, "Warning", "FailedBinding", why)
            raise


def _of(template: Obj, part: str) -> Obj:
    found: Obj = (template.get("metadata") or {}).get(part) or {}
    return dict(found)
