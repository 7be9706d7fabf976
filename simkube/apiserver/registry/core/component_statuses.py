"""``kubectl get componentstatuses``: whether etcd, the scheduler and the controller manager answer, as the API server
finds out when it is asked.

Deprecated, and still what many a tutorial shows. After ``pkg/registry/core/componentstatus``. It refuses to store them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from simkube.apimachinery.errors import not_found
from simkube.client.client import Obj

RESOURCE = "componentstatuses"
WARNING = "v1 ComponentStatus is deprecated in v1.19+"
_COMPONENTS = {
    "etcd-0": ("etcd", "", "ok"),
    "scheduler": ("kube-scheduler", "10259", "ok"),
    "controller-manager": ("kube-controller-manager", "10257", "ok"),
}
"""By name: the component, the port that is asked (etcd is asked in another way), what a healthy one says."""


def reader(running: Callable[[], Mapping[str, bool]]) -> Callable[[str, str], Sequence[Obj]]:
    """What answers reads of the statuses; ``running`` says by Kubernetes name which components run."""

    def read(_: str, name: str) -> Sequence[Obj]:
        if name and name not in _COMPONENTS:
            raise not_found(RESOURCE, name)
        now = running()
        return [_status(each, now) for each in ([name] if name else _COMPONENTS)]

    return read


def _status(name: str, running: Mapping[str, bool]) -> Obj:
    component, port, healthy = _COMPONENTS[name]
    condition = {"type": "Healthy", "status": "True", "message": healthy}
    if not running.get(component, True):
        refused = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
        message = f'Get "https://127.0.0.1:{port}/healthz": {refused}'
        condition = {"type": "Healthy", "status": "False", "message": message}
    head = {"kind": "ComponentStatus", "apiVersion": "v1"}
    return {**head, "metadata": {"name": name}, "conditions": [condition]}
