"""What pods and nodes use, in clusters that measure it."""

from __future__ import annotations

from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.metrics import tables
from simkube.apiserver.registry.resources import Resource

_READ = ("get", "list")

KINDS = (
    Kind(
        Resource("metrics.k8s.io", "v1beta1", "nodes", "", "NodeMetrics", False, verbs=_READ, computed=True),
        layout=tables.METRICS,
    ),
    Kind(
        Resource("metrics.k8s.io", "v1beta1", "pods", "", "PodMetrics", True, verbs=_READ, computed=True),
        layout=tables.METRICS,
    ),
)
