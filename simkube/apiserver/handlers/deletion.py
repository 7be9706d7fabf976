"""Deletes: preconditions, grace, finalizers, and what is left for the garbage collector to do.

After ``pkg/registry/rest/delete.go`` and ``generic/registry/store.go``. An object with finalizers or with grace is
marked (``deletionTimestamp``) and stays; the last finalizer, the kubelet's final delete or the namespace controller
end it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.handlers.writing import Writer
from simkube.apiserver.registry.apiextensions import definition
from simkube.apiserver.registry.kinds import strategy_of
from simkube.apiserver.registry.request import Request
from simkube.apiserver.registry.served import DEFINITIONS
from simkube.client.client import Obj
from simkube.clock.clock import Clock

_FINALIZER = {"Orphan": "orphan", "Foreground": "foregroundDeletion"}
_JOBS_ORPHAN = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
    "propagationPolicy=Orphan to suppress this warning"
)


class Deleter:
    """The deleting half of one cluster's API server."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock

    def delete(self, request: Request, old: Obj) -> Obj:
        """Delete ``old``, or mark it; returns what the API server answers: the object or a ``Status`` of success."""
        check_preconditions(request, old)
        self._writer.hold_deletion(request, old)
        if request.resource.storage == "namespaces" and not old["metadata"].get("deletionTimestamp"):
            return self._end_namespace(request, old)
        if request.resource.storage == DEFINITIONS and not old["metadata"].get("deletionTimestamp"):
            now = self._clock.timestamp()
            ended = definition.ended(old, now)
            return self._writer.commit(request, ended, expect=old["metadata"]["resourceVersion"])
        if request.resource.storage == "jobs.batch" and request.options.propagation is None:
            request.warnings.append(_JOBS_ORPHAN)
        grace = _grace(request, old)
        meta = old["metadata"]
        if grace and meta.get("deletionTimestamp"):
            return self._shorten(request, old, grace)
        finalizers = _finalizers(request, old)
        stays = bool(finalizers) or bool(old.get("spec", {}).get("finalizers") and old.get("kind") == "Namespace")
        if not grace and not stays:
            gone = self._writer.remove(request, self._ended(old))
            return gone if strategy_of(request.resource).answers_deleted else _success(request, old)
        if meta.get("deletionTimestamp") and finalizers == meta.get("finalizers", []) and not _ends_grace(meta, grace):
            return old
        return self._writer.commit(request, self._marked(old, grace, finalizers), expect=meta["resourceVersion"])

    def _time(self, seconds: float) -> str:
        return datetime.fromtimestamp(self._clock.now() + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _ended(self, old: Obj) -> Obj:
        if old.get("kind") != "Pod":
            return old
        return self._marked(old, 0, old["metadata"].get("finalizers", []))

    def _marked(self, old: Obj, grace: int, finalizers: list[str]) -> Obj:
        meta = dict(old["metadata"])
        if "deletionTimestamp" not in meta and meta.get("generation"):
            meta["generation"] += 1
        if "deletionTimestamp" not in meta or grace < meta.get("deletionGracePeriodSeconds", 0):
            meta["deletionTimestamp"] = self._time(grace)
        meta["deletionGracePeriodSeconds"] = grace
        meta.pop("finalizers", None)
        if finalizers:
            meta["finalizers"] = finalizers
        return {**old, "metadata": meta}

    def _shorten(self, request: Request, old: Obj, grace: int) -> Obj:
        meta = old["metadata"]
        if grace >= meta.get("deletionGracePeriodSeconds", 0):
            return old
        began = datetime.fromisoformat(meta["deletionTimestamp"]).timestamp() - meta["deletionGracePeriodSeconds"]
        when = datetime.fromtimestamp(began + grace, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        changed = {**meta, "deletionTimestamp": when, "deletionGracePeriodSeconds": grace}
        return self._writer.commit(request, {**old, "metadata": changed}, expect=meta["resourceVersion"])

    def _end_namespace(self, request: Request, old: Obj) -> Obj:
        meta = {**old["metadata"], "deletionTimestamp": self._time(0)}
        status = {**old.get("status", {}), "phase": "Terminating"}
        version = meta["resourceVersion"]
        return self._writer.commit(request, {**old, "metadata": meta, "status": status}, expect=version)


def check_preconditions(request: Request, old: Obj) -> None:
    """409 when the object is not the one, or not in the state, that the request means."""
    wanted, meta = request.options.preconditions, old["metadata"]
    kind, name = request.resource.kind, meta["name"]
    for key, field, record, hint in (
        ("uid", "uid", "UID", "The object might have been deleted and then recreated"),
        ("resourceVersion", "resourceVersion", "ResourceVersion", "The object might have been modified"),
    ):
        if key in wanted and wanted[key] != meta[field]:
            why = (
                f"the {record} in the precondition ({wanted[key]}) does not match the {record} in record "
                f"({meta[field]}). {hint}"
            )
            message = f'Operation cannot be fulfilled on {kind} "{name}": {why}'
            raise StatusError(409, "Conflict", message, {"name": name, "kind": kind})


def _grace(request: Request, old: Obj) -> int:
    """Seconds a pod is given to end; every other kind, and a pod that runs nowhere, is given none."""
    if request.resource.storage != "pods":
        return 0
    spec = old["spec"]
    if not spec.get("nodeName") or old.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    grace = request.options.grace
    if grace is None:
        grace = int(spec.get("terminationGracePeriodSeconds", 30))
    return 1 if grace < 0 else grace


def _ends_grace(meta: Obj, grace: int) -> bool:
    return grace < int(meta.get("deletionGracePeriodSeconds") or 0)


def _finalizers(request: Request, old: Obj) -> list[str]:
    """The object's finalizers, with the garbage collector's as the propagation policy wants it."""
    there = list(old["metadata"].get("finalizers", ()))
    policy = request.options.propagation
    if policy is None and strategy_of(request.resource).orphans and not set(there) & set(_FINALIZER.values()):
        policy = "Orphan"
    if policy is None:
        return there
    wanted = [each for each in there if each not in _FINALIZER.values()]
    if policy in _FINALIZER:
        wanted.append(_FINALIZER[policy])
    return wanted


def _success(request: Request, old: Obj) -> Obj:
    resource = request.resource
    details = {"name": old["metadata"]["name"], "kind": resource.plural, "uid": old["metadata"]["uid"]}
    if resource.group:
        details["group"] = resource.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
