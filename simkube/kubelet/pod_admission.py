"""Whether the node takes a pod that was bound to it, whoever bound it: enough resources, no pressure.

After ``pkg/kubelet/lifecycle/predicate.go`` and the eviction manager's ``Admit``. A pod that is not taken has
failed; its owner makes another. Critical pods are not refused (nor are others killed for them).
"""

from __future__ import annotations

from collections.abc import Iterable

from simkube.apimachinery.quantity import milli
from simkube.kubelet.pod import Pod
from simkube.kubelet.resources import UNIT

CRITICAL = 2_000_000_000
"""From this priority on a pod is critical."""
PRESSURE_TAINT = "node.kubernetes.io/memory-pressure"


def critical(pod: Pod) -> bool:
    """Whether the pod must run whatever happens to others."""
    return int(pod.spec.get("priority") or 0) >= CRITICAL


def rejection(pod: Pod, others: Iterable[Pod], *, pressed: bool) -> tuple[str, str] | None:
    """``(reason, message)`` why the pod is not taken; None when it is. ``pressed``: the node is short of memory."""
    if critical(pod):
        return None
    if pressed and _first_to_go(pod):
        return "Evicted", "The node had condition: [MemoryPressure]. "
    running = [other for other in others if other is not pod and not other.over]
    for name, unit in UNIT.items():
        asked, capacity = pod.asks(name), milli(pod.node.allocatable[name]) // unit
        used = pod.others_ask(name) if asked else 0
        if asked and asked + used > capacity:
            text = f"Node didn't have enough resource: {name}, requested: {asked}, used: {used}, capacity: {capacity}"
            return f"OutOf{name}", text
    most = int(milli(pod.node.allocatable["pods"]) // 1000)
    if len(running) >= most:
        return (
            "OutOfpods",
            f"Node didn't have enough resource: pods, requested: 1, used: {len(running)}, capacity: {most}",
        )
    return None


def _first_to_go(pod: Pod) -> bool:
    if (pod.obj.get("status") or {}).get("qosClass") != "BestEffort":
        return False
    return not any(
        one.get("operator") == "Exists" and one.get("key", "") in ("", PRESSURE_TAINT)
        for one in pod.spec.get("tolerations") or []
    )
