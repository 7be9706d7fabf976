"""What the API server fills in when a field is not given, kind by kind; each function changes the object it gets.

After ``pkg/apis/*/v1/defaults.go``. It refuses to allocate or look anything up: that is admission's and the
allocators'.
"""

from simkube.apiserver.defaults.batch import cron_job, job
from simkube.apiserver.defaults.networking import ingress, ingress_class, network_policy, with_spec
from simkube.apiserver.defaults.objects import endpoint_slice, endpoints, event, namespace, node, secret
from simkube.apiserver.defaults.pods import pod, pod_template
from simkube.apiserver.defaults.scaling import autoscaler, disruption_budget, priority_class
from simkube.apiserver.defaults.services import service
from simkube.apiserver.defaults.workloads import (
    daemon_set,
    deployment,
    replica_set,
    replication_controller,
    stateful_set,
    template,
)

__all__ = [
    "autoscaler",
    "cron_job",
    "daemon_set",
    "deployment",
    "disruption_budget",
    "endpoint_slice",
    "endpoints",
    "event",
    "ingress",
    "ingress_class",
    "job",
    "namespace",
    "network_policy",
    "node",
    "pod",
    "pod_template",
    "priority_class",
    "replica_set",
    "replication_controller",
    "secret",
    "service",
    "stateful_set",
    "template",
    "with_spec",
]
