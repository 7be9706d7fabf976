"""The rows of runtime classes, and of claims and slices of devices."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.tables.cells import age_of, name_of
from simkube.apiserver.tables.columns import AGE, NAME, Cells, Column, Layout

Obj = dict[str, Any]


def _runtime_class(obj: Obj, now: float) -> Cells:
    return [name_of(obj), obj.get("handler", ""), age_of(obj, now)]


def _name_and_age(obj: Obj, now: float) -> Cells:
    return [name_of(obj), age_of(obj, now)]


def _claim(obj: Obj, now: float) -> Cells:
    status = obj.get("status") or {}
    states = []
    if obj.get("metadata", {}).get("deletionTimestamp"):
        states.append("deleted")
    if status.get("allocation") is None:
        states += [] if states else ["pending"]
    else:
        states += ["allocated", *(["reserved"] if status.get("reservedFor") else [])]
    return [name_of(obj), ",".join(states), age_of(obj, now)]


def _slice(obj: Obj, now: float) -> Cells:
    spec = obj.get("spec") or {}
    shown = [spec.get("nodeName") or "", spec.get("driver", ""), (spec.get("pool") or {}).get("name", "")]
    return [name_of(obj), *shown, age_of(obj, now)]


RUNTIME_CLASSES = Layout((NAME, Column("Handler"), AGE), _runtime_class)
NAMES = Layout((NAME, AGE), _name_and_age)
RESOURCE_CLAIMS = Layout(
    (NAME, Column("State", "A summary of the current state (allocated, pending, reserved, etc.)."), AGE), _claim
)
RESOURCE_SLICES = Layout(
    (
        NAME,
        Column("Node", field="resource.v1.ResourceSliceSpec.nodeName"),
        Column("Driver", field="resource.v1.ResourceSliceSpec.driver"),
        Column("Pool", field="resource.v1.ResourcePool.name"),
        AGE,
    ),
    _slice,
)
