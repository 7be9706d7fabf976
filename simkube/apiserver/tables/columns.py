"""The columns of a table, and the texts that describe them.

Most descriptions are those of the fields that are shown; they are read from the OpenAPI definitions when the
first table is asked for, and only the ones in use are kept.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simkube.apiserver.schema.schema import raw_definitions

Obj = dict[str, Any]
Cells = list[Any]
Printer = Callable[[Obj, float], Cells]
"""From an object and the time (seconds since the epoch) to the cells of its row, wide columns included."""

_PREFIXES = {"meta": "io.k8s.apimachinery.pkg.apis.meta"}
_FIELDS: set[str] = set()
"""The fields that describe some column."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``text`` describes it, or ``field`` (``core.v1.PodSpec.nodeName``) does. ``wide`` columns need ``-o
    wide``."""

    name: str
    text: str = ""
    field: str = ""
    type: str = "string"
    format: str = ""
    wide: bool = False
    priority: int = 0

    def __post_init__(self) -> None:
        if self.field:
            _FIELDS.add(self.field)

    def definition(self) -> Obj:
        """As in ``columnDefinitions``."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.text or (_describe(self.field) if self.field else ""),
            "priority": self.priority or int(self.wide),
        }


@dataclass(frozen=True, slots=True)
class Layout:
    """How a kind is shown: its columns, what fills them, and the conditions of a row (None: it has none)."""

    columns: tuple[Column, ...]
    cells: Printer
    conditions: Callable[[Obj], list[Obj] | None] | None = None


NAME = Column("Name", field="meta.v1.ObjectMeta.name", format="name")
AGE = Column("Age", field="meta.v1.ObjectMeta.creationTimestamp")
CREATED = Column("Created At", field="meta.v1.ObjectMeta.creationTimestamp", type="date")


def _name_and_created(obj: Obj, _now: float) -> Cells:
    return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]


NAME_AND_AGE = Layout((NAME, CREATED), _name_and_created)
"""How a kind is shown that has no layout of its own."""
CONTAINERS = Column("Containers", "Names of each container in the template.", wide=True)
IMAGES = Column("Images", "Images referenced by each container in the template.", wide=True)


@functools.cache
def _descriptions() -> dict[str, str]:
    raw = raw_definitions()
    return {path: _find(raw, path) for path in _FIELDS}


def _find(raw: dict[str, Any], path: str) -> str:
    definition, _, field = path.rpartition(".")
    group, _, rest = definition.partition(".")
    prefix = _PREFIXES.get(group, f"io.k8s.api.{group}")
    return str(raw[f"{prefix}.{rest}"]["properties"][field].get("description", ""))


def _describe(field: str) -> str:
    return _descriptions()[field]
