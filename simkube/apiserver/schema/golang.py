"""How Go prints values, for messages of the API server that contain some: ``map[spec:map[replicas:two]]``.

It refuses to be complete: only what JSON can hold is printed.
"""

from __future__ import annotations

import json
from typing import Any


def show(value: Any) -> str:
    """A JSON value as ``fmt.Sprintf("%v")`` writes it: maps sorted by key, lists in brackets, strings bare."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{show(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(show(item) for item in value) + "]"
    if isinstance(value, float):
        return _float(value)
    return str(value)


def _float(value: float) -> str:
    """A float64 as ``%v`` writes it: the shortest text, with an exponent from 1e+21 on and below 1e-4."""
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    return text


def quote(text: str) -> str:
    """A string as ``%q`` writes it."""
    return json.dumps(text, ensure_ascii=False)


def kind_of(value: Any) -> str:
    """The JSON type as ``encoding/json`` names it in its errors: ``string``, ``number``, ``bool``, ``object``,
    ``array``."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def reflect_kind(value: Any) -> str:
    """The ``reflect.Kind`` of a decoded JSON value: ``int64``, ``float64``, ``string``, ``bool``, ``map``,
    ``slice``."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, str):
        return "string"
    return "slice" if isinstance(value, list) else "map"
