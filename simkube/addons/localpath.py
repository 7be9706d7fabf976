"""The dynamic provisioner of a kind cluster: a directory of the chosen node for every claim of its class.

After ``rancher/local-path-provisioner`` and ``sig-storage-lib-external-provisioner``. It makes no volume before a node
is chosen, refuses what a directory cannot be (shared between nodes, a block device), and removes directory and volume
when the claim is gone. It works while its pod runs (:mod:`simkube.addons.system`).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Protocol

from simkube.client.client import Event, Informers, Obj, Server, key_of
from simkube.client.events import Recorder
from simkube.client.workqueue import Component, WorkLoop
from simkube.component_helpers.volumebinding import (
    CLAIMS,
    CLASSES,
    PROVISIONED_BY,
    PROVISIONERS,
    SELECTED_NODE,
    VOLUMES,
    class_of,
    is_late,
    notes,
    reference,
)
from simkube.runtime.network.agents import Agents

PROVISIONER = "rancher.io/local-path"
FOLDER = "/var/local-path-provisioner"
STANDARD: Obj = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": PROVISIONER,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
}
"""The class that a kind cluster has from the beginning."""
_NODE_NOTE = "local.path.provisioner/selected-node"
_MODES = "NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes"
RETRIES = (15.0, 1000.0, 15)
"""First and longest pause between failed tries, in seconds, and how many there are."""


class Directories(Protocol):
    """The disk of a node; both answer whether the node is there to do it."""

    def make_directory(self, path: str) -> bool: ...

    def erase_directory(self, path: str) -> bool: ...


class LocalPathProvisioner(Component):
    """Keys are ``("claim", namespace, name)`` and ``("volume", name)``; ``disks`` by the name of their node."""

    name = "local-path-provisioner"
    agent = "local-path-provisioner"

    def __init__(
        self,
        server: Server,
        loop: WorkLoop,
        disks: Mapping[str, Directories],
        informers: Informers | None = None,
        agents: Agents | None = None,
    ) -> None:
        super().__init__(server, loop, informers)
        self._disks = disks
        self._agents = agents or Agents()
        self._failures: dict[Hashable, int] = {}

    def watch(self) -> None:
        """Claims that wait for it, volumes that are released, nodes that come back."""
        self._failures.clear()
        self.recorder = Recorder(self.client, f"{PROVISIONER}_{self.name}")
        self.classes = self.client.informer(CLASSES)
        self.volumes = self.client.observe(VOLUMES, self._volume_changed)
        self.claims = self.client.observe(CLAIMS, self._claim_changed)
        self.client.observe("nodes", self._node_changed)
        self._unhear = self._agents.on_change(self.name, self._look)

    def stop(self) -> None:
        """As :meth:`Component.stop`."""
        if self.running:
            self._unhear()
        super().stop()

    def _look(self) -> None:
        """Its pod runs again: what waits for it is done."""
        for claim in self.claims.list():
            self._claim_changed(Event("ADDED", claim))
        for volume in self.volumes.list():
            self._volume_changed(Event("ADDED", volume))

    def _claim_changed(self, event: Event) -> None:
        claim = event.obj
        key = ("claim", *key_of(claim))
        if event.type == "DELETED" or claim["spec"].get("volumeName"):
            self._failures.pop(key, None)
            self.dequeue(key)
        elif any(notes(claim).get(note) == PROVISIONER for note in PROVISIONERS):
            self.enqueue(key)

    def _volume_changed(self, event: Event) -> None:
        if event.type != "DELETED" and _is_done_with(event.obj):
            self.enqueue(("volume", event.obj["metadata"]["name"]))

    def _node_changed(self, event: Event) -> None:
        """A node that is heard of again can be asked again."""
        if event.old is None or event.old["spec"].get("taints") != event.obj["spec"].get("taints"):
            for volume in self.volumes.list() if event.type != "DELETED" else ():
                if _is_done_with(volume):
                    self.enqueue(("volume", volume["metadata"]["name"]))

    def reconcile(self, key: Hashable) -> None:
        """Make one volume, or remove one."""
        assert isinstance(key, tuple)
        if not self._agents.runs(self.name):
            return
        if key[0] == "volume":
            volume = self.volumes.get("", key[1])
            if volume is not None and _is_done_with(volume):
                self._delete(volume)
            return
        claim = self.claims.get(key[1], key[2])
        if claim is None or claim["spec"].get("volumeName") or "deletionTimestamp" in claim["metadata"]:
            return
        found = self.classes.get("", class_of(claim))
        node = notes(claim).get(SELECTED_NODE)
        name = f"pvc-{claim['metadata']['uid']}"
        if found is None or (is_late(found) and node is None) or self.volumes.get("", name) is not None:
            return
        self._tell(
            claim, "Normal", "Provisioning", f'External provisioner is provisioning volume for claim "{_of(claim)}"'
        )
        problem = _refusal(claim, node) or self._provision(claim, found, str(node), name)
        if problem:
            self._retry(key, claim, problem)
            return
        self._failures.pop(key, None)
        self._tell(claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {name}")

    def _tell(self, claim: Obj, type: str, reason: str, message: str) -> None:
        self.recorder.event(claim, "Warning" if type == "Warning" else "Normal", reason, message)

    def _retry(self, key: Hashable, claim: Obj, problem: str) -> None:
        why = f'failed to provision volume with StorageClass "{class_of(claim)}": {problem}'
        self._tell(claim, "Warning", "ProvisioningFailed", why)
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        first, longest, most = RETRIES
        if failures < most:
            self.enqueue_after(key, min(longest, first * 2.0 ** (failures - 1)))

    def _provision(self, claim: Obj, storage_class: Obj, node: str, name: str) -> str:
        """Directory and volume; why not, or ""."""
        meta = claim["metadata"]
        path = f"{FOLDER}/{name}_{meta['namespace']}_{meta['name']}"
        disk = self._disks.get(node)
        if disk is None or not disk.make_directory(path):
            return f"failed to create volume {name}: create process timeout after 120 seconds"
        self.client.create(VOLUMES, _volume(claim, storage_class, node, name, path))
        return ""

    def _delete(self, volume: Obj) -> None:
        meta = volume["metadata"]
        path = (volume["spec"].get("hostPath") or {}).get("path", "")
        disk = self._disks.get(notes(volume).get(_NODE_NOTE, ""))
        if disk is None or not path.startswith(f"{FOLDER}/") or disk.erase_directory(path):
            self.client.delete(VOLUMES, meta["name"], preconditions={"uid": meta["uid"]})


def _of(claim: Obj) -> str:
    return f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"


def _is_done_with(volume: Obj) -> bool:
    if notes(volume).get(PROVISIONED_BY) != PROVISIONER or "deletionTimestamp" in volume["metadata"]:
        return False
    released = (volume.get("status") or {}).get("phase") == "Released"
    return released and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"


def _refusal(claim: Obj, node: str | None) -> str:
    spec = claim["spec"]
    if spec.get("volumeMode") == "Block":
        return f"{PROVISIONER} does not support block volume provisioning"
    if spec.get("selector") is not None:
        return "claim.Spec.Selector is not supported"
    if any(mode not in ("ReadWriteOnce", "ReadWriteOncePod") for mode in spec.get("accessModes") or ()):
        return _MODES
    return "configuration error, no node was specified" if node is None else ""


def _volume(claim: Obj, storage_class: Obj, node: str, name: str, path: str) -> Obj:
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    spec: Obj = {
        "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
        "hostPath": {"path": path, "type": "DirectoryOrCreate"},
        "accessModes": claim["spec"]["accessModes"],
        "claimRef": reference(claim),
        "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
        "storageClassName": class_of(claim),
        "volumeMode": "Filesystem",
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
    }
    if storage_class.get("mountOptions"):
        spec["mountOptions"] = list(storage_class["mountOptions"])
    marks = {_NODE_NOTE: node, PROVISIONED_BY: PROVISIONER}
    metadata = {"name": name, "annotations": marks}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}


__all__ = ["PROVISIONER", "STANDARD", "Directories", "LocalPathProvisioner"]
