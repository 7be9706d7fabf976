"""Where pods are described in manifests: in pods themselves, and in the templates of workloads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from labs.certify.changes import Objects, Path, at, one, ref
from labs.certify.objects import Obj

WORKLOADS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController", "Job")


def pod_path(obj: Obj) -> Path | None:
    """The path of the pod's own description in an object: () in a pod, its template in a workload, else None."""
    if obj["kind"] == "Pod":
        return ()
    return ("spec", "template") if obj["kind"] in WORKLOADS else None


def described(objects: Sequence[Obj]) -> Iterator[tuple[Obj, Path]]:
    """Every object that describes pods, with where it does so."""
    for obj in objects:
        path = pod_path(obj)
        if path is not None:
            yield obj, path


def pod_in(objects: Objects, name: str) -> dict[str, Any]:
    """The description (metadata, spec) of the pods of ``Kind/name``."""
    obj = one(objects, name)
    found: dict[str, Any] = at(obj, pod_path(obj) or ())
    return found


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Its containers."""
    return list(pod["spec"]["containers"])


def label(obj: Obj) -> str:
    """How ids name an object."""
    return ref(obj)
