"""The names of controllers as ``kube-controller-manager --controllers`` has them.

A controller's own name is what its events and its requests carry, which for some is an older one.
Source: ``cmd/kube-controller-manager/names/controller_names.go``.
"""

from __future__ import annotations

_OFFICIAL = {
    "endpoint-controller": "endpoints-controller",
    "endpoint-slice-controller": "endpointslice-controller",
    "endpoint-slice-mirroring-controller": "endpointslice-mirroring-controller",
    "horizontal-pod-autoscaler": "horizontal-pod-autoscaler-controller",
    "replication-controller": "replicationcontroller-controller",
    "volume-expand-controller": "persistentvolume-expander-controller",
}


def official(name: str) -> str:
    """The name to stop and start a controller by."""
    return _OFFICIAL.get(name, name)
