"""The rows of deployments, replica sets and controller revisions."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.tables.cells import NONE, age_of, containers, name_of, selector
from simkube.apiserver.tables.columns import AGE, CONTAINERS, IMAGES, NAME, Cells, Column, Layout

Obj = dict[str, Any]


def _template(obj: Obj) -> list[str]:
    spec = obj.get("spec") or {}
    names, images = containers((spec.get("template") or {}).get("spec") or {})
    return [names, images, selector(spec.get("selector"))]


def _deployment(obj: Obj, now: float) -> Cells:
    status = obj.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{(obj.get('spec') or {}).get('replicas', 0)}"
    counts = [status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    return [name_of(obj), ready, *counts, age_of(obj, now), *_template(obj)]


def _replica_set(obj: Obj, now: float) -> Cells:
    status = obj.get("status") or {}
    counts = [(obj.get("spec") or {}).get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [name_of(obj), *counts, age_of(obj, now), *_template(obj)]


def controller_of(obj: Obj) -> str:
    """The controlling owner as ``kind.group/name``."""
    for owner in obj.get("metadata", {}).get("ownerReferences") or []:
        if owner.get("controller"):
            group = owner.get("apiVersion", "").rpartition("/")[0]
            kind = owner.get("kind", "").lower()
            return f"{kind}.{group}/{owner.get('name')}" if group else f"{kind}/{owner.get('name')}"
    return NONE


def _controller_revision(obj: Obj, now: float) -> Cells:
    return [name_of(obj), controller_of(obj), obj.get("revision", 0), age_of(obj, now)]


DEPLOYMENTS = Layout(
    (
        NAME,
        Column("Ready", "Number of the pod with ready state"),
        Column("Up-to-date", field="apps.v1.DeploymentStatus.updatedReplicas"),
        Column("Available", field="apps.v1.DeploymentStatus.availableReplicas"),
        AGE,
        CONTAINERS,
        IMAGES,
        Column("Selector", field="apps.v1.DeploymentSpec.selector", wide=True),
    ),
    _deployment,
)
REPLICA_SETS = Layout(
    (
        NAME,
        Column("Desired", field="apps.v1.ReplicaSetSpec.replicas", type="integer"),
        Column("Current", field="apps.v1.ReplicaSetStatus.replicas", type="integer"),
        Column("Ready", field="apps.v1.ReplicaSetStatus.readyReplicas", type="integer"),
        AGE,
        CONTAINERS,
        IMAGES,
        Column("Selector", field="apps.v1.ReplicaSetSpec.selector", wide=True),
    ),
    _replica_set,
)
CONTROLLER_REVISIONS = Layout(
    (
        NAME,
        Column("Controller", "Controller of the object"),
        Column("Revision", field="apps.v1.ControllerRevision.revision"),
        AGE,
    ),
    _controller_revision,
)
