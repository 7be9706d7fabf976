"""What a container may take of its node, from its resources: limits, and how soon the kernel kills it.

Rules from ``pkg/kubelet/qos/policy.go``. Requests of CPU are promises between pods that compete; containers here get
what their own limit and their node have, whatever others do.
"""

from __future__ import annotations

from collections.abc import Mapping

from simkube.apimachinery.quantity import milli
from simkube.client.client import Obj

GUARANTEED, BEST_EFFORT = -997, 1000
UNIT = {"cpu": 1, "memory": 1000}
"""How many thousandths make the number that messages show: millicores, bytes."""


def amount(container: Obj, kind: str, name: str) -> int | None:
    """A request or limit in thousandths; None when there is none."""
    value = ((container.get("resources") or {}).get(kind) or {}).get(name)
    return None if value is None else milli(value)


def requests(spec: Obj, name: str) -> int:
    """What a pod asks for, itself or by its containers, in messages' unit; init containers run before the others."""
    whole = amount(spec, "requests", name)
    if whole is not None:
        return whole // UNIT[name]
    apps = sum(amount(one, "requests", name) or 0 for one in spec["containers"])
    inits = spec.get("initContainers") or []
    sidecars = sum(amount(one, "requests", name) or 0 for one in inits if one.get("restartPolicy") == "Always")
    first = max((amount(one, "requests", name) or 0 for one in inits), default=0)
    return max(apps + sidecars, first) // UNIT[name]


def cores_of(container: Obj) -> float | None:
    """The limit of its processors; None for none."""
    found = amount(container, "limits", "cpu")
    return None if not found else max(found / 1000, 0.01)


def memory_of(container: Obj) -> int | None:
    """The limit of its memory in bytes; None for none."""
    found = amount(container, "limits", "memory")
    return None if not found else found // 1000


def oom_score_adj(pod: Obj, container: Obj, allocatable: Mapping[str, str]) -> int:
    """How gladly the kernel kills it when the node is out of memory: the more it was promised, the less."""
    quality = (pod.get("status") or {}).get("qosClass", "BestEffort")
    if quality == "Guaranteed" or str(pod["spec"].get("priorityClassName")) == "system-node-critical":
        return GUARANTEED
    if quality == "BestEffort":
        return BEST_EFFORT
    promised = amount(container, "requests", "memory") or 0
    share = promised * 1000 // max(1, milli(allocatable.get("memory", "1Gi")))
    return min(999, max(3, 1000 - share))
