"""Defaults of workloads (``pkg/apis/apps/v1/defaults.go``)."""

from __future__ import annotations

from simkube.apiserver.defaults.pods import pod_template
from simkube.client import Obj


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
