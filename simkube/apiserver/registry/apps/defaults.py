"""Defaults of workloads (``pkg/apis/apps/v1/defaults.go``), of replication controllers and pod templates."""

from __future__ import annotations

from simkube.apiserver.registry.pods.defaults import pod_template
from simkube.client.client import Obj

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
"""The annotation that shows how often a daemon set's template has changed; a field once, kept by the server alone."""


def deployment(obj: Obj) -> None:
    """A deployment: one replica, a rolling update by quarters, ten old revisions, ten minutes to progress."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        update = strategy.setdefault("rollingUpdate", {})
        update.setdefault("maxUnavailable", "25%")
        update.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    pod_template(spec.setdefault("template", {}))
    obj.setdefault("status", {})


def replica_set(obj: Obj) -> None:
    """A replica set: one replica."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    pod_template(spec.setdefault("template", {}))
    obj.setdefault("status", {}).setdefault("replicas", 0)


def stateful_set(obj: Obj) -> None:
    """A stateful set: one replica, one after the other, updated from the last on, claims kept."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("podManagementPolicy", "OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    retention.setdefault("whenDeleted", "Retain")
    retention.setdefault("whenScaled", "Retain")
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    pod_template(spec.setdefault("template", {}))
    for claim in spec.get("volumeClaimTemplates", ()):
        claim["kind"], claim["apiVersion"] = "PersistentVolumeClaim", "v1"
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
        claim.setdefault("status", {}).setdefault("phase", "Pending")
    status = obj.setdefault("status", {})
    status.setdefault("replicas", 0)
    status.setdefault("availableReplicas", 0)


def daemon_set(obj: Obj) -> None:
    """A daemon set: node after node, ten old revisions; the number of its template is an annotation."""
    meta, spec = obj["metadata"], obj.setdefault("spec", {})
    meta.setdefault("annotations", {}).setdefault(TEMPLATE_GENERATION, "0")
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        update = strategy.setdefault("rollingUpdate", {})
        update.setdefault("maxUnavailable", 1)
        update.setdefault("maxSurge", 0)
    spec.setdefault("revisionHistoryLimit", 10)
    pod_template(spec.setdefault("template", {}))
    status = obj.setdefault("status", {})
    for name in ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"):
        status.setdefault(name, 0)


def replication_controller(obj: Obj) -> None:
    """A replication controller: labels and selector from its template, one replica."""
    spec = obj.setdefault("spec", {})
    template = spec.get("template")
    if template is not None:
        pod_template(template)
        labels = template["metadata"].get("labels")
        if labels and not spec.get("selector"):
            spec["selector"] = dict(labels)
        if labels and not obj["metadata"].get("labels"):
            obj["metadata"]["labels"] = dict(labels)
    spec.setdefault("replicas", 1)
    obj.setdefault("status", {}).setdefault("replicas", 0)


def template(obj: Obj) -> None:
    """A pod template that is stored for itself."""
    pod_template(obj.setdefault("template", {}))
