"""Defaults of autoscalers, disruption budgets and priority classes.

After ``pkg/apis/{autoscaling,policy,scheduling}/*/defaults.go``; autoscalers are stored as ``autoscaling/v2``.
"""

from __future__ import annotations

from typing import Any

from simkube.client.client import Obj

_UP: dict[str, Any] = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_DOWN: dict[str, Any] = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


def autoscaler(obj: Obj) -> None:
    """An autoscaler: at least one replica, 80 % of the CPU requested; behaviour only where some is given."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("scaleTargetRef", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is not None:
        for name, rules in (("scaleUp", _UP), ("scaleDown", _DOWN)):
            given = behavior.setdefault(name, {})
            for key, value in rules.items():
                given.setdefault(key, [dict(each) for each in value] if isinstance(value, list) else value)
    status = obj.setdefault("status", {})
    status.setdefault("desiredReplicas", 0)
    status.setdefault("currentMetrics", None)
