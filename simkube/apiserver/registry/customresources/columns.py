"""The table of a custom kind: its name, and the columns its definition asks for (or its age).

After ``apiextensions-apiserver/pkg/registry/customresource/tableconvertor``.
"""

from __future__ import annotations

import json
from typing import Any

from simkube.apiserver.schema.custom.jsonpath import PathError, find
from simkube.apiserver.tables.ages import age
from simkube.apiserver.tables.cells import name_of
from simkube.apiserver.tables.columns import NAME, Column, Layout
from simkube.client.client import Obj

AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
_AGE_TEXT = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed "
    "to be set in happens-before order across separate operations. Clients may not set this value. It is represented "
    "in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)


def layout(columns: list[Obj]) -> Layout:
    """The layout for ``additionalPrinterColumns``."""
    wanted = columns or [{**AGE, "description": _AGE_TEXT}]

    def cells(obj: Obj, now: float) -> list[Any]:
        return [name_of(obj), *(_cell(obj, column, now) for column in wanted)]

    return Layout((NAME, *(_column(column) for column in wanted)), cells)


def _column(given: Obj) -> Column:
    text = given.get("description") or f"Custom resource definition column (in JSONPath format): {given['jsonPath']}"
    return Column(
        given["name"],
        text=text,
        type=given["type"],
        format=given.get("format", ""),
        priority=given.get("priority", 0),
    )


def _cell(obj: Obj, column: Obj, now: float) -> Any:
    try:
        found = find(column["jsonPath"], obj)
    except PathError:
        return None
    if not found:
        return None
    value, kind = found[0], column["type"]
    if kind == "string":
        return _text(value)
    if kind == "integer" and isinstance(value, float):
        return int(value)
    if kind == "integer":
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    if kind == "number":
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind == "date" and isinstance(value, str):
        try:
            return age(value, now)
        except ValueError:
            return "<invalid>"
    return None


def _text(value: Any) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
