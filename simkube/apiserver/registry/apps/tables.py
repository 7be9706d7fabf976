"""The rows of what runs pods for good: deployments, sets, replication controllers; of revisions and templates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from simkube.apiserver.tables.cells import NONE, age_of, containers, labels, name_of, selector
from simkube.apiserver.tables.columns import AGE, CONTAINERS, IMAGES, NAME, Cells, Column, Layout

Obj = dict[str, Any]

_DAEMON_COUNTS = (
    "desiredNumberScheduled",
    "currentNumberScheduled",
    "numberReady",
    "updatedNumberScheduled",
    "numberAvailable",
)


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


def _replication_controller(obj: Obj, now: float) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    counts = [spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [name_of(obj), *counts, age_of(obj, now), *_template(obj)[:2], labels(spec.get("selector"))]


def _stateful_set(obj: Obj, now: float) -> Cells:
    ready = (obj.get("status") or {}).get("readyReplicas", 0)
    return [
        name_of(obj),
        f"{ready}/{(obj.get('spec') or {}).get('replicas', 0)}",
        age_of(obj, now),
        *_template(obj)[:2],
    ]


def _daemon_set(obj: Obj, now: float) -> Cells:
    status = obj.get("status") or {}
    counts = [status.get(name, 0) for name in _DAEMON_COUNTS]
    pod = ((obj.get("spec") or {}).get("template") or {}).get("spec") or {}
    return [name_of(obj), *counts, labels(pod.get("nodeSelector")), age_of(obj, now), *_template(obj)]


def _pod_template(obj: Obj, _: float) -> Cells:
    template = obj.get("template") or {}
    shown = containers(template.get("spec") or {})
    return [name_of(obj), *shown, labels((template.get("metadata") or {}).get("labels"))]


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
STATEFUL_SETS = Layout(
    (NAME, Column("Ready", "Number of the pod with ready state"), AGE, CONTAINERS, IMAGES), _stateful_set
)
DAEMON_SETS = Layout(
    (
        NAME,
        Column("Desired", field="apps.v1.DaemonSetStatus.desiredNumberScheduled", type="integer"),
        Column("Current", field="apps.v1.DaemonSetStatus.currentNumberScheduled", type="integer"),
        Column("Ready", field="apps.v1.DaemonSetStatus.numberReady", type="integer"),
        Column("Up-to-date", field="apps.v1.DaemonSetStatus.updatedNumberScheduled", type="integer"),
        Column("Available", field="apps.v1.DaemonSetStatus.numberAvailable", type="integer"),
        Column("Node Selector", field="core.v1.PodSpec.nodeSelector"),
        AGE,
        CONTAINERS,
        IMAGES,
        Column("Selector", field="apps.v1.DaemonSetSpec.selector", wide=True),
    ),
    _daemon_set,
)
REPLICATION_CONTROLLERS = Layout(
    (
        NAME,
        Column("Desired", field="core.v1.ReplicationControllerSpec.replicas", type="integer"),
        Column("Current", field="core.v1.ReplicationControllerStatus.replicas", type="integer"),
        Column("Ready", field="core.v1.ReplicationControllerStatus.readyReplicas", type="integer"),
        AGE,
        CONTAINERS,
        IMAGES,
        Column("Selector", field="core.v1.ReplicationControllerSpec.selector", wide=True),
    ),
    _replication_controller,
)
POD_TEMPLATES = Layout(
    (
        NAME,
        replace(CONTAINERS, wide=False),
        replace(IMAGES, wide=False),
        Column("Pod Labels", "The labels for the pod template."),
    ),
    _pod_template,
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
