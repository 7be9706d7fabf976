"""A pod's volumes: emptyDir, configMap, secret, downwardAPI and projected, filled and kept current.

What a volume of the API holds is computed as a whole (:func:`contents`), which is projected into the runtime's volume
at first and whenever a source changed. Other kinds of volume are refused by ``component_helpers.unsimulated``. Missing
sources raise :class:`MountError` with the kubelet's words, which becomes a FailedMount event.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simkube.client.client import Obj
from simkube.kubelet.downward import FieldError, field_text, resource_text
from simkube.kubelet.env import Lookup, expand, text_data
from simkube.runtime.cri import Mount, Volume

DEFAULT_MODE = 0o644
Files = dict[str, tuple[bytes, int]]
"""Path in the volume -> content and mode."""


class MountError(Exception):
    """A volume that cannot be set up; ``whole`` when the message needs no words before it."""

    def __init__(self, message: str, *, whole: bool = False) -> None:
        super().__init__(message)
        self.whole = whole


@dataclass(frozen=True)
class Part:
    """A directory or file of a volume that is mounted in its place."""

    volume: Volume
    path: str
    read_only: bool = False

    def below(self, sub_path: str) -> str:
        """The path in the volume of a path of this part."""
        return posixpath.join(self.path, sub_path) if sub_path else self.path


@dataclass(frozen=True)
class Sources:
    """Where the content of volumes comes from: the API's objects, the node's facts, and tokens."""

    lookup: Lookup
    facts: dict[str, str]
    allocatable: dict[str, str]
    token: Callable[[str, int], str]
    """``(audience, seconds)`` -> a token of the pod's service account."""


def contents(pod: Obj, volume: Obj, sources: Sources) -> Files | None:
    """What the kubelet puts into a volume of the pod's spec; None when only its containers write to it."""
    for kind in ("configMap", "secret", "downwardAPI"):
        if volume.get(kind) is not None:
            source = volume[kind]
            return _projection(pod, kind, source, sources, int(source.get("defaultMode", DEFAULT_MODE)))
    if volume.get("projected") is not None:
        projected = volume["projected"]
        files: Files = {}
        for source in projected.get("sources") or []:
            for kind, part in source.items():
                files.update(_projection(pod, kind, part, sources, int(projected.get("defaultMode", DEFAULT_MODE))))
        return files
    return None


def _projection(pod: Obj, kind: str, source: dict[str, Any], sources: Sources, mode: int) -> Files:
    if kind == "configMap":
        return _keys("configmaps", str(source.get("name", "")), source, sources.lookup, mode)
    if kind == "secret":
        return _keys("secrets", str(source.get("secretName") or source.get("name", "")), source, sources.lookup, mode)
    if kind == "downwardAPI":
        return {
            _safe(item["path"]): (_item(pod, item, sources), int(item.get("mode", mode)))
            for item in source.get("items") or []
        }
    if kind == "serviceAccountToken":
        token = sources.token(str(source.get("audience", "")), int(source.get("expirationSeconds", 3600)))
        return {_safe(source["path"]): (token.encode(), mode)}
    raise MountError(f"projected source {kind} is not simulated here")


def _item(pod: Obj, item: dict[str, Any], sources: Sources) -> bytes:
    try:
        if item.get("fieldRef"):
            return field_text(pod, item["fieldRef"]["fieldPath"], sources.facts).encode()
        reference = item["resourceFieldRef"]
        return resource_text(pod, str(reference.get("containerName", "")), reference, sources.allocatable).encode()
    except FieldError as error:
        raise MountError(str(error)) from error


def _keys(kind: str, name: str, source: dict[str, Any], lookup: Lookup, mode: int) -> Files:
    singular = "configmap" if kind == "configmaps" else "secret"
    obj = lookup(kind, name)
    if obj is None:
        if source.get("optional"):
            return {}
        raise MountError(f'{singular} "{name}" not found')
    data = text_data(kind, obj)
    items = source.get("items")
    if not items:
        return {key: (value, mode) for key, value in data.items()}
    files: Files = {}
    for item in items:
        if item["key"] not in data:
            if source.get("optional"):
                continue
            raise MountError(
                f"references non-existent {'config' if singular == 'configmap' else 'secret'} key: {item['key']}"
            )
        files[_safe(item["path"])] = (data[item["key"]], int(item.get("mode", mode)))
    return files


def _safe(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise MountError(f"invalid path {path!r}: must be relative and not contain '..'")
    return path


def mounts(container: Obj, pod: Obj, volumes: Mapping[str, Volume | Part], env: dict[str, str]) -> list[Mount]:
    """The mounts of a container; volumes the kubelet fills are read-only, as they are on a real node."""
    specs = {volume["name"]: volume for volume in pod["spec"].get("volumes") or []}
    found: list[Mount] = []
    for mount in container.get("volumeMounts") or []:
        sub_path = expand(mount["subPathExpr"], env) if mount.get("subPathExpr") else str(mount.get("subPath") or "")
        if sub_path and (sub_path.startswith("/") or ".." in sub_path.split("/")):
            raise MountError(f'unable to use subPath "{sub_path}": must not be absolute or contain ".."')
        filled = any(
            specs[mount["name"]].get(kind) is not None for kind in ("configMap", "secret", "downwardAPI", "projected")
        )
        read_only = bool(mount.get("readOnly")) or filled
        volume = volumes[mount["name"]]
        if isinstance(volume, Part):
            read_only, sub_path, volume = read_only or volume.read_only, volume.below(sub_path), volume.volume
        found.append(Mount(volume, posixpath.normpath(mount["mountPath"]), read_only, sub_path))
    return found


def refers_to(pod: Obj, kind: str, name: str) -> bool:
    """Whether a volume of the pod is filled from that config map or secret."""
    field, key = ("configMap", "name") if kind == "configmaps" else ("secret", "secretName")
    for volume in pod["spec"].get("volumes") or []:
        if (volume.get(field) or {}).get(key) == name:
            return True
        for source in (volume.get("projected") or {}).get("sources") or []:
            if (source.get(field) or {}).get("name") == name:
                return True
    return False
