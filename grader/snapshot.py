"""What the learner's namespace looked like when grading began, for whoever wants to see why a verdict came out.

Bounded in time and size. The values of Secrets are left out, wherever they would appear.
"""

from __future__ import annotations

from typing import Any

from grader import limits
from grader.connection import Connection
from grader.errors import GraderError
from grader.readiness import KEY, readiness
from grader.shapes import fields
from grader.shapes import objects as objects_of
from grader.text import bounded, plain

KINDS = {
    "nodes": "/api/v1/nodes",
    "pods": "/api/v1/namespaces/{}/pods",
    "deployments": "/apis/apps/v1/namespaces/{}/deployments",
    "replicasets": "/apis/apps/v1/namespaces/{}/replicasets",
    "services": "/api/v1/namespaces/{}/services",
    "endpoints": "/api/v1/namespaces/{}/endpoints",
    "configmaps": "/api/v1/namespaces/{}/configmaps",
    "secrets": "/api/v1/namespaces/{}/secrets",
    "events": "/api/v1/namespaces/{}/events",
}
NOISE = ("managedFields", "selfLink", "generation")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def snapshot(connection: Connection, namespace: str) -> dict[str, Any]:
    """``{kind: {"objects": [...], "more": bool}}``; a kind that cannot be read has ``error`` instead.

    ``ready`` is no kind but what :mod:`grader.readiness` waits for should grading be interrupted.
    """
    made: dict[str, Any] = {}
    for kind, path in KINDS.items():
        try:
            answer = connection.get(path.format(namespace), limit=limits.SNAPSHOT_OBJECTS)
        except GraderError as error:
            made[kind] = {"error": plain(error, 600)}
            continue
        objects = [_trim(kind, one) for one in objects_of(answer) if not _ours(one)]
        more = bool(fields(answer.get("metadata")).get("continue"))
        made[kind] = {"objects": bounded(objects, limits.SNAPSHOT_CHARACTERS), "more": more}
    try:
        made[KEY] = readiness(connection)
    except GraderError as error:
        made[KEY] = {"error": plain(error, 600)}
    return made


def _ours(raw: dict[str, Any]) -> bool:
    return raw["metadata"].get("name") in ("kube-root-ca.crt",)


def _trim(kind: str, raw: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in raw["metadata"].items() if key not in NOISE}
    annotations = {key: value for key, value in fields(metadata.get("annotations")).items() if key != LAST_APPLIED}
    if kind == "secrets":
        annotations = dict.fromkeys(annotations, "(left out)")
    if annotations or "annotations" in metadata:
        metadata["annotations"] = annotations
    made = {**raw, "metadata": metadata}
    if kind == "secrets":
        for field in ("data", "stringData"):
            if isinstance(made.get(field), dict):
                made[field] = dict.fromkeys(made[field], "(left out)")
    if kind == "nodes":
        made["status"] = {key: value for key, value in fields(raw.get("status")).items() if key != "images"}
    return made
