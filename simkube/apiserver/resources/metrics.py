"""What the metrics server adds to the API: the use of pods and nodes. There where a cluster has nodes."""

from simkube.apiserver.resources.model import Resource

_READ = ("get", "list")

METRICS = (
    Resource("metrics.k8s.io", "v1beta1", "nodes", "", "NodeMetrics", False, verbs=_READ, computed=True),
    Resource("metrics.k8s.io", "v1beta1", "pods", "", "PodMetrics", True, verbs=_READ, computed=True),
)
