"""Volumes that outlive a pod: claims, and directories of the node; where they are, and why they cannot be had.

A claim leads to its volume, and that to a directory of the node's disk, when it is a ``hostPath`` or ``local`` one.
Volumes that a driver or a server elsewhere would have to provide are refused by name. Source:
``pkg/kubelet/volumemanager``, ``pkg/volume/{hostpath,local}``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Any

from simkube.client.client import Client, Obj
from simkube.component_helpers import pods as podstate
from simkube.component_helpers.volumebinding import by_claim, claim_names, is_fully_bound, owns, reaches
from simkube.kubelet.volumes import MountError, Part
from simkube.runtime.cri import NodeDisk
from simkube.runtime.nodes import FileError

SAVING = (1.0, 30.0)
"""Shortest and longest pause between a write to the disk and its being stored, in seconds."""
_TYPES = {
    "Directory": ("directory", "a directory"),
    "File": ("file", "a file"),
    "Socket": ("socket", "a socket file"),
    "CharDevice": ("char", "a character device"),
    "BlockDevice": ("block", "a block device"),
}
_ONE_POD = "volume uses the ReadWriteOncePod access mode and is already in use by another pod"


def part_of(pod: Obj, volume: Obj, client: Client, node_name: str, disk: NodeDisk) -> Part | None:
    """Where a volume of a pod's spec lies; None for one that belongs to the pod alone. MountError when it cannot be."""
    if volume.get("hostPath"):
        path, kind = volume["hostPath"]["path"], volume["hostPath"].get("type") or ""
        _check(disk, path, kind)
        return Part(disk, _clean(path))
    for name, claim_name, ephemeral in claim_names({**pod, "spec": {"volumes": [volume]}}):
        persistent, read_only = _volume_of(pod, claim_name, ephemeral, client, node_name)
        source = volume.get("persistentVolumeClaim") or {}
        path = _place(persistent, name, disk)
        return Part(disk, _clean(path), read_only or bool(source.get("readOnly")))
    return None


def _clean(path: str) -> str:
    return posixpath.normpath(path).lstrip("/") or "."


def _check(disk: NodeDisk, path: str, kind: str) -> None:
    """What ``hostPath.type`` demands of a path of the node."""
    found = disk.kind(path)
    if kind in _TYPES and found != _TYPES[kind][0]:
        raise MountError(f"hostPath type check failed: {path} is not {_TYPES[kind][1]}")
    try:
        if kind == "FileOrCreate":
            disk.touch(path)
        elif not found:
            disk.make(path)
    except FileError as error:
        raise MountError(f"mkdir {path}: {error.strerror.lower()}") from None
    if kind == "DirectoryOrCreate" and found not in ("", "directory"):
        raise MountError(f"hostPath type check failed: {path} is not a directory")


def _volume_of(pod: Obj, name: str, ephemeral: bool, client: Client, node_name: str) -> tuple[Obj, bool]:
    """The persistent volume behind a claim of a pod, and whether it may only be read."""
    namespace = pod["metadata"]["namespace"]
    where = f"error processing PVC {namespace}/{name}"
    claim = client.informer("persistentvolumeclaims").get(namespace, name)
    if claim is None:
        why = f'failed to fetch PVC from API server: persistentvolumeclaims "{name}" not found'
        raise MountError(f"{where}: {why}")
    if ephemeral and not owns(pod, claim):
        raise MountError(f"PVC {namespace}/{name} was not created for pod (pod is not owner)")
    if not is_fully_bound(claim):
        raise MountError(f"{where}: PVC is not bound")
    volume = client.informer("persistentvolumes").get("", claim["spec"]["volumeName"])
    if volume is None:
        raise MountError(f"{where}: failed to get PV {claim['spec']['volumeName']}: not found")
    if (claim["spec"].get("volumeMode") or "Filesystem") == "Block":
        raise MountError(f"volume {name} has volumeMode Block, but is specified in volumeMounts")
    modes = claim["spec"].get("accessModes") or ()
    if "ReadWriteOncePod" in modes and _taken(pod, (namespace, name), client, node_name):
        raise MountError(_ONE_POD)
    node = client.informer("nodes").get("", node_name)
    if node is not None and not reaches(volume, node):
        text = f'MountVolume.NodeAffinity check failed for volume "{volume["metadata"]["name"]}" : '
        raise MountError(f"{text}no matching NodeSelectorTerms", whole=True)
    return volume, False


def _taken(pod: Obj, claim: tuple[str, str], client: Client, node_name: str) -> bool:
    """Whether an older pod on this node uses the claim."""
    pods = client.informer("pods")
    by_claim(pods)
    return any(
        each["metadata"]["uid"] != pod["metadata"]["uid"]
        and each["spec"].get("nodeName") == node_name
        and podstate.phase(each) == "Running"
        for each in pods.indexed("claim", claim)
    )


def _place(volume: Obj, name: str, disk: NodeDisk) -> str:
    """The path of the node's disk that a persistent volume stands for."""
    spec = volume["spec"]
    if spec.get("hostPath"):
        path: str = spec["hostPath"]["path"]
        _check(disk, path, spec["hostPath"].get("type") or "")
        return path
    if spec.get("local"):
        path = spec["local"]["path"]
        if not disk.kind(path):
            text = f'MountVolume.NewMounter initialization failed for volume "{volume["metadata"]["name"]}" : '
            raise MountError(f'{text}path "{path}" does not exist', whole=True)
        return path
    known = ("capacity", "accessModes", "claimRef", "nodeAffinity", "mountOptions")
    kind = next((key for key in spec if isinstance(spec[key], dict) and key not in known), "unknown")
    raise MountError(f"a persistent volume of kind {kind} is not simulated here; use a real cluster (kind) for {name}")


Later = Callable[[float, Callable[[], None]], object]


class DiskKeeper:
    """Stores the disk of a node when it was written to, sooner after a pause than in a flood of writes.

    ``later(seconds, call)`` has :meth:`due` called; ``put`` stores.
    """

    def __init__(self, disk: NodeDisk, kept: Any, put: Callable[[Any], None], later: Later) -> None:
        self._disk = disk
        self._put = put
        self._later = later
        self._pause = SAVING[0]
        self._planned = False
        self._dirty = False
        if kept is not None:
            disk.restore(kept)
        disk.on_change(self._changed)

    def _changed(self) -> None:
        self._dirty = True
        if not self._planned:
            self._planned = True
            self._later(self._pause, self.due)

    def due(self) -> None:
        """The pause is over: store what was written in it, and wait longer if writing goes on."""
        self._pause = min(SAVING[1], self._pause * 2) if self._dirty else SAVING[0]
        self.save()

    def save(self) -> None:
        """Store it now if it was written to."""
        self._planned = False
        if self._dirty:
            self._dirty = False
            self._put(self._disk.dump())
