"""Defaults of disruption budgets and priority classes."""

from __future__ import annotations

from simkube.client.client import Obj


def disruption_budget(obj: Obj) -> None:
    """A disruption budget: counts that are always shown."""
    obj.setdefault("spec", {})
    status = obj.setdefault("status", {})
    for name in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        status.setdefault(name, 0)


def priority_class(obj: Obj) -> None:
    """A priority class: its pods preempt those of lower priority."""
    obj.setdefault("value", 0)
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")
