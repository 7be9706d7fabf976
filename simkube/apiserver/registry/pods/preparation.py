"""What the server decides about pods itself (``pkg/registry/core/pod/strategy.go``)."""

from __future__ import annotations

from simkube.apiserver.registry.pods import label_keys
from simkube.apiserver.registry.pods.parts import PARTS, only_part
from simkube.client.client import Caller, Obj
from simkube.component_helpers.qos import qos_class


def new_pod(pod: Obj, now: str, _caller: Caller) -> None:
    """A new pod is pending, of a class that its resources give; its own labels become part of its selectors."""
    if pod["spec"].get("terminationGracePeriodSeconds", 0) < 0:
        pod["spec"]["terminationGracePeriodSeconds"] = 1
    pod["status"] = {"phase": "Pending", "qosClass": qos_class(pod["spec"])}
    if pod["spec"].get("schedulingGates"):
        pod["status"]["conditions"] = [_gated(now)]
    label_keys.merge(pod)


def changed_pod(new: Obj, old: Obj, subresource: str, _now: str) -> None:
    """Only the status subresource changes the status; others change the part that they are about."""
    if subresource in PARTS:
        only_part(new, old, subresource)
    if subresource != "status":
        new["status"] = old.get("status", {})


def _gated(now: str) -> Obj:
    return {
        "type": "PodScheduled",
        "status": "False",
        "lastProbeTime": None,
        "lastTransitionTime": now,
        "reason": "SchedulingGated",
        "message": "Scheduling is blocked due to non-empty scheduling gates",
    }
