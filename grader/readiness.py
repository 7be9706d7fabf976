"""What was ready when grading began, and whether it is again: what a grading broke must not count in the next one.

Only what was ready is remembered, so that nobody gains by an interruption: what did not work before is waited for by
nobody. A pod is known by its controller, since that replaces it; one on its own by its name, since the grader makes it
again. What nobody can know is said to be missing: whoever asks must not take it for ready.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from grader import limits
from grader.cluster import node_ready
from grader.connection import Connection
from grader.errors import GraderError
from grader.objects import Pod
from grader.shapes import fields, objects, rows, whole
from grader.text import quoted

KEY = "ready"
"""Where a snapshot holds it."""
PROBES = "kindling-probe-"
HASH = "pod-template-hash"
KIND, NAME, FAMILY, PODS, CONTAINERS, ACTIVE = "kind", "name", "family", "pods", "containers", "active"
SILENT = "the cluster does not answer"
UNKNOWN = "what was ready in the cluster before is not known"


def readiness(connection: Connection) -> dict[str, Any]:
    """As a kind of a snapshot: ``{"objects": [...], "more": bool}``, an object for each ready node and each owner of
    pods of which one is ready; ``more`` when there are more pods than any lab needs."""
    nodes = [{KIND: "Node", NAME: one["metadata"]["name"]} for one in _nodes(connection) if node_ready(one)]
    answer = connection.get("/api/v1/pods", limit=limits.LISTED)
    owners = _owners(Pod(one) for one in objects(answer))
    ready = [one for one in owners.values() if one[PODS]]
    return {"objects": nodes + ready, "more": bool(fields(answer.get("metadata")).get("continue"))}


def missing(connection: Connection, before: object) -> str:
    """What was ready in the snapshot ``before`` and is not now, as a phrase; "" when all of it is, or nothing was.

    ``before``: a snapshot, or None when grading was interrupted before it was taken (and so before anything was done).
    """
    if not before:
        return ""
    known = fields(fields(before).get(KEY))
    if "objects" not in known or known.get("more"):
        return UNKNOWN
    try:
        now = readiness(connection)
    except GraderError:
        return SILENT
    return _first_missing(rows(known["objects"]), rows(now["objects"]))


def _first_missing(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> str:
    there = {(one[KIND], one[NAME]): one for one in now}
    for one in before:
        found = there.get((one[KIND], one[NAME]), {})
        if not found or any(whole(found.get(key)) < whole(one.get(key)) for key in (PODS, CONTAINERS)):
            wanted = f" ({whole(found.get(PODS))} of {one[PODS]} pods)" if whole(one.get(PODS)) > 1 else ""
            return f"{one[KIND]} {quoted(one[NAME])} is not ready{wanted}"
    had, has = _active(before), _active(now)
    many = next((name for name in had if has.get(name, 0) > had[name]), "")
    return f"{quoted(many)} has more pods than it had" if many else ""


def _active(found: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Pods that are not over, by family: those of a Deployment, whichever of its replica sets has them."""
    counted: dict[str, int] = {}
    for one in found:
        if FAMILY in one:
            counted[one[FAMILY]] = counted.get(one[FAMILY], 0) + whole(one.get(ACTIVE))
    return counted


def _owners(pods: Iterable[Pod]) -> dict[tuple[str, str], dict[str, Any]]:
    made: dict[tuple[str, str], dict[str, Any]] = {}
    for pod in pods:
        kind, owner = pod.controller
        if kind == "Job" or pod.namespace.startswith(PROBES):
            continue  # the pods of a Job end, and the grader's own are nobody's
        kind, name = kind or "Pod", f"{pod.namespace}/{owner or pod.name}"
        family = name.removesuffix("-" + pod.labels[HASH]) if pod.labels.get(HASH) else name
        one = made.setdefault(
            (kind, name), {KIND: kind, NAME: name, FAMILY: f"{kind} {family}", PODS: 0, CONTAINERS: 0, ACTIVE: 0}
        )
        if pod.phase == "Succeeded" and not owner:  # it has ended by itself: nobody killed it
            one[PODS], one[CONTAINERS] = 1, len(pod.containers)
        elif not (pod.terminating or pod.over):
            one[PODS] += pod.ready
            one[CONTAINERS] += sum(container.ready for container in pod.containers)
            one[ACTIVE] += 1
    return made


def _nodes(connection: Connection) -> list[dict[str, Any]]:
    return objects(connection.get("/api/v1/nodes", limit=limits.LISTED))
