"""Rows of what pods and nodes used (``metrics-server``'s ``pkg/api/table.go``): a column for each resource."""

from __future__ import annotations

from typing import Any

from simkube.apimachinery import quantity
from simkube.apiserver.tables.cells import name_of
from simkube.apiserver.tables.columns import Cells, Column, Layout

Obj = dict[str, Any]

_COLUMNS = (
    Column("Name", "Name of the resource", format="name"),
    Column("cpu", "Resource usage", format="quantity"),
    Column("memory", "Resource usage", format="quantity"),
    Column("Window", "Window of the metrics", format="duration"),
)


def _cells(obj: Obj, now: float) -> Cells:
    del now
    used = [one["usage"] for one in obj.get("containers") or [{"usage": obj.get("usage", {})}]]
    cpu = sum(quantity.parse(one.get("cpu", "0")) for one in used)
    memory = sum(quantity.parse(one.get("memory", "0")) for one in used)
    shown = f"{int(cpu * 10**9)}n" if cpu else "0"
    return [name_of(obj), shown, f"{int(memory) // 1024}Ki", obj.get("window", "")]


METRICS = Layout(_COLUMNS, _cells)
