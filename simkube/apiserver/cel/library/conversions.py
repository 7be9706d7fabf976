"""From one type to another, sizes, and the parts of moments (the specification's standard definitions)."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from simkube.apiserver.cel import times
from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library.model import A, B, Library, Overload, of_any
from simkube.apiserver.cel.syntax import UInt
from simkube.apiserver.cel.types import list_of, map_of
from simkube.apiserver.cel.values import type_name, unsigned, whole


def to_int(value: Any) -> int:
    """``int(x)``."""
    if isinstance(value, datetime):
        return math.floor(value.timestamp())
    if isinstance(value, times.Duration):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EvaluationError("integer overflow")
        return whole(math.trunc(value))
    try:
        return whole(int(value) if not isinstance(value, str) or value.isascii() else int(""))
    except ValueError:
        raise EvaluationError(f'strconv.ParseInt: parsing "{value}": invalid syntax') from None


def _to_uint(value: Any) -> UInt:
    if isinstance(value, float) and not math.isfinite(value):
        raise EvaluationError("unsigned integer overflow")
    try:
        return unsigned(int(value))
    except ValueError:
        raise EvaluationError(f'strconv.ParseUint: parsing "{value}": invalid syntax') from None


def _to_double(value: Any) -> float:
    try:
        return float(value)
    except ValueError:
        raise EvaluationError(f'strconv.ParseFloat: parsing "{value}": invalid syntax') from None


def to_string(value: Any) -> str:
    """``string(x)``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, times.Duration):
        return f"{times.seconds_text(value)}s"
    if isinstance(value, datetime):
        return times.text(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value)


def _to_bool(value: Any) -> bool:
    known = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
    if isinstance(value, bool):
        return value
    found = known.get(value.lower() if value in ("TRUE", "True", "T", "FALSE", "False", "F") else value)
    if found is None:
        raise EvaluationError(f'strconv.ParseBool: parsing "{value}": invalid syntax')
    return found


def _overloads() -> dict[str, list[Overload]]:
    numbers, strings = (t.INT, t.UINT, t.DOUBLE), t.STRING
    found: dict[str, list[Overload]] = {
        "size": [
            (method, (one,), t.INT) for method in (False, True) for one in (strings, t.BYTES, list_of(A), map_of(A, B))
        ],
        "int": [(False, (one,), t.INT) for one in (*numbers, strings, t.TIMESTAMP, t.DURATION)],
        "uint": [(False, (one,), t.UINT) for one in (*numbers, strings)],
        "double": [(False, (one,), t.DOUBLE) for one in (*numbers, strings)],
        "string": [(False, (one,), strings) for one in (*numbers, t.BOOL, strings, t.BYTES, t.TIMESTAMP, t.DURATION)],
        "bool": [(False, (one,), t.BOOL) for one in (t.BOOL, strings)],
        "bytes": [(False, (one,), t.BYTES) for one in (t.BYTES, strings)],
        "timestamp": [(False, (one,), t.TIMESTAMP) for one in (strings, t.TIMESTAMP, t.INT)],
        "duration": [(False, (one,), t.DURATION) for one in (strings, t.DURATION)],
        "dyn": [(False, (A,), t.DYN)],
        "type": [(False, (A,), t.TYPE)],
    }
    for name in times.PARTS:
        found[name] = [(True, (t.TIMESTAMP,), t.INT), (True, (t.TIMESTAMP, t.STRING), t.INT)]
    for name in times.DURATION_PARTS:
        found[name].append((True, (t.DURATION,), t.INT))
    return found


LIBRARY = Library(
    _overloads(),
    of_any(
        {
            "size": len,
            "int": to_int,
            "uint": _to_uint,
            "double": _to_double,
            "string": to_string,
            "bool": _to_bool,
            "bytes": lambda value: value if isinstance(value, bytes) else value.encode(),
            "timestamp": times.timestamp,
            "duration": times.duration,
            "dyn": lambda value: value,
            "type": type_name,
            **times.READERS,
        }
    ),
)
