"""Defaults of flow control (``pkg/apis/flowcontrol/v1/defaults.go``)."""

from __future__ import annotations

from simkube.client.client import Obj


def flow_schema(obj: Obj) -> None:
    """A flow schema: of middle precedence."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("priorityLevelConfiguration", {})
    spec.setdefault("matchingPrecedence", 1000)
    obj.setdefault("status", {})


def priority_level(obj: Obj) -> None:
    """A priority level: thirty shares; 64 queues of 50 where requests wait."""
    spec = obj.setdefault("spec", {})
    if spec.get("type") == "Exempt":
        exempt = spec.setdefault("exempt", {})
        exempt.setdefault("nominalConcurrencyShares", 0)
        exempt.setdefault("lendablePercent", 0)
    limited = spec.get("limited")
    if limited is not None:
        limited.setdefault("nominalConcurrencyShares", 30)
        limited.setdefault("lendablePercent", 0)
        queuing = limited.setdefault("limitResponse", {}).get("queuing")
        if queuing is not None:
            for name, value in (("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)):
                queuing.setdefault(name, value)
    obj.setdefault("status", {})
