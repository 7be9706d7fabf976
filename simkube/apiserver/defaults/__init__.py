"""What the API server fills in when a field is not given, kind by kind; each function changes the object it gets.

After ``pkg/apis/*/v1/defaults.go``. It refuses to allocate or look anything up: that is admission's and the
allocators'.
"""

from simkube.apiserver.defaults.objects import endpoint_slice, endpoints, event, namespace, node, secret
from simkube.apiserver.defaults.pods import pod, pod_template
from simkube.apiserver.defaults.services import service
from simkube.apiserver.defaults.workloads import deployment, replica_set

__all__ = [
    "deployment",
    "endpoint_slice",
    "endpoints",
    "event",
    "namespace",
    "node",
    "pod",
    "pod_template",
    "replica_set",
    "secret",
    "service",
]
