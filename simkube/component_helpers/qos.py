"""The class of a pod, by what its containers ask for (``pkg/apis/core/v1/helper/qos``)."""

from __future__ import annotations

from typing import Any

from simkube.apimachinery.quantity import milli
from simkube.client.client import Obj


def qos_class(spec: Obj) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort`` (``pkg/apis/core/helper/qos``): of cpu and memory alone."""
    guaranteed, anything = True, False
    for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
        resources = container.get("resources", {})
        requests, limits = _amounts(resources.get("requests")), _amounts(resources.get("limits"))
        anything = anything or bool(requests or limits)
        guaranteed = guaranteed and set(limits) == {"cpu", "memory"} and (requests == limits or not requests)
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _amounts(resources: Any) -> dict[str, int]:
    found = {}
    for name in ("cpu", "memory"):
        value = (resources or {}).get(name)
        try:
            amount = 0 if value is None else milli(value)
        except ValueError:
            amount = 0  # validation refuses it
        if amount > 0:
            found[name] = amount
    return found
