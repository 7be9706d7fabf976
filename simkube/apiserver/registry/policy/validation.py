"""Disruption budgets and priority classes (``pkg/apis/{policy,scheduling}/validation``)."""

from __future__ import annotations

from simkube.apiserver.validation.conditions import conditions
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.numbers import at_most_all, immutable, not_negative, number_or_percent
from simkube.apiserver.validation.selector import label_selector
from simkube.client.client import Obj

_HIGHEST = 1_000_000_000
_SYSTEM = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def disruption_budget(obj: Obj, errors: Errors) -> None:
    """A budget says how many must stay or how many may go, not both."""
    spec = obj["spec"]
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        shown = {
            "MinAvailable": spec["minAvailable"],
            "Selector": spec.get("selector"),
            "MaxUnavailable": spec["maxUnavailable"],
            "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
        }
        errors.invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set")
    for name in ("minAvailable", "maxUnavailable"):
        if spec.get(name) is not None:
            number_or_percent(spec[name], f"spec.{name}", errors)
            at_most_all(spec[name], f"spec.{name}", errors)
    if spec.get("selector") is not None:
        label_selector(spec["selector"], "spec.selector", errors)
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in ("AlwaysAllow", "IfHealthyBudget"):
        errors.not_supported("spec.unhealthyPodEvictionPolicy", policy, ("AlwaysAllow", "IfHealthyBudget"))


def disruption_budget_status(new: Obj, _: Obj, errors: Errors) -> None:
    """Conditions of the usual form; counts are not negative."""
    conditions(new.get("status", {}).get("conditions", ()), "status.conditions", errors)
    for name in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        not_negative(new.get("status", {}).get(name), f"status.{name}", errors)


def priority_class(obj: Obj, errors: Errors) -> None:
    """Names that begin with ``system-`` are the system's own, as are the highest values."""
    name, value = obj["metadata"].get("name", ""), obj.get("value", 0)
    if name.startswith("system-"):
        problem = _unlike_system(name, value, default=bool(obj.get("globalDefault")))
        if problem:
            detail = "priority class names with 'system-' prefix are reserved for system use only. error: "
            errors.forbidden("metadata.name", detail + problem)
    elif value > _HIGHEST:
        errors.forbidden("value", f"maximum allowed value of a user defined priority is {_HIGHEST}")
    policy = obj.get("preemptionPolicy", "")
    if not policy:
        errors.required("preemptionPolicy")
    elif policy not in ("PreemptLowerPriority", "Never"):
        errors.not_supported("preemptionPolicy", policy, ("PreemptLowerPriority", "Never"))


def _unlike_system(name: str, value: int, *, default: bool) -> str:
    if name not in _SYSTEM:
        return f"{name} is not a known system priority class"
    if value != _SYSTEM[name]:
        return f"value of {name} PriorityClass must be {_SYSTEM[name]}"
    return f"globalDefault of {name} PriorityClass must be false" if default else ""


def priority_class_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Value and preemption never change."""
    if new.get("value", 0) != old.get("value", 0):
        errors.forbidden("value", "may not be changed in an update.")
    immutable(new.get("preemptionPolicy"), old.get("preemptionPolicy"), "preemptionPolicy", errors)
