"""Operators: arithmetic, comparison, membership, indexing (the specification's standard definitions)."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from simkube.apiserver.cel import times
from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library.model import A, B, Function, Library, Overload, of_any
from simkube.apiserver.cel.library.optionals import at_index, hashable
from simkube.apiserver.cel.syntax import UInt
from simkube.apiserver.cel.types import list_of, map_of, optional_of
from simkube.apiserver.cel.values import AssociativeList, Optional, equal, is_number, unsigned, whole


def _number(one: Any, other: Any, ints: Callable[[int, int], int], floats: Callable[[float, float], float]) -> Any:
    if isinstance(one, UInt):
        return unsigned(ints(one, other))
    if one.__class__ is int:
        return whole(ints(one, other))
    return floats(one, other)


def add(one: Any, other: Any) -> Any:
    """``+``."""
    if isinstance(one, times.Duration) and isinstance(other, datetime):
        return times.moved(other, one)
    if isinstance(one, datetime):
        return times.moved(one, other)
    if isinstance(one, times.Duration):
        return times.Duration(times.bounded(one + other))
    if isinstance(one, (str, bytes)):
        return one + other
    if isinstance(one, list):
        return one.joined(other) if isinstance(one, AssociativeList) else [*one, *other]
    return _number(one, other, lambda a, b: int(a) + int(b), lambda a, b: a + b)


def subtract(one: Any, other: Any) -> Any:
    """``-`` of two."""
    if isinstance(one, datetime):
        return times.between(other, one) if isinstance(other, datetime) else times.moved(one, times.Duration(-other))
    if isinstance(one, times.Duration):
        return times.Duration(times.bounded(one - other))
    return _number(one, other, lambda a, b: int(a) - int(b), lambda a, b: a - b)


def multiply(one: Any, other: Any) -> Any:
    """``*``."""
    return _number(one, other, lambda a, b: int(a) * int(b), lambda a, b: a * b)


def divide(one: Any, other: Any) -> Any:
    """``/``: towards zero."""
    if isinstance(one, float):
        return one / other if other else (math.nan if not one else math.copysign(math.inf, one))
    if not other:
        raise EvaluationError("division by zero")
    return _number(one, other, lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1), lambda a, b: a / b)


def remainder(one: Any, other: Any) -> Any:
    """``%``: with the sign of the first."""
    if not other:
        raise EvaluationError("modulus by zero")
    return _number(one, other, lambda a, b: abs(a) % abs(b) * (-1 if a < 0 else 1), math.fmod)


def negate(one: Any) -> Any:
    """``-`` of one."""
    return whole(-one) if one.__class__ is int else -one


def _ordered(test: Callable[[Any, Any], bool]) -> Function:
    def compare(one: Any, other: Any) -> bool:
        alike = one.__class__ is other.__class__ and isinstance(one, (str, bytes, bool, datetime, times.Duration))
        if not alike and not (is_number(one) and is_number(other)):
            raise EvaluationError("no such overload")
        return test(one, other)

    return compare


def contained(item: Any, where: Any) -> bool:
    """``in``."""
    if isinstance(where, dict):
        return hashable(item) and item in where
    return any(equal(item, one) for one in where)


def index(where: Any, key: Any) -> Any:
    """``[]``; of an optional value the element is optional too."""
    if isinstance(where, Optional):
        return at_index(where, key)
    if isinstance(where, dict):
        if not hashable(key) or key not in where:
            raise EvaluationError(f"no such key: {key}")
        return where[key]
    if not isinstance(where, list):
        raise EvaluationError("no such overload")
    if isinstance(key, float) and key.is_integer():
        key = int(key)
    if not isinstance(key, int) or isinstance(key, bool) or not 0 <= key < len(where):
        raise EvaluationError(f"index out of bounds: {key}")
    return where[key]


def _overloads() -> dict[str, list[Overload]]:
    numbers = (t.INT, t.UINT, t.DOUBLE)
    lists, maps = list_of(A), map_of(A, B)
    found: dict[str, list[Overload]] = {
        f"_{sign}_": [(False, (one, one), one) for one in numbers] for sign in ("+", "-", "*", "/")
    }
    found["_%_"] = [(False, (one, one), one) for one in numbers[:2]]
    found["_+_"] += [(False, (one, one), one) for one in (t.STRING, t.BYTES, lists, t.DURATION)]
    found["_+_"] += [(False, (t.TIMESTAMP, t.DURATION), t.TIMESTAMP), (False, (t.DURATION, t.TIMESTAMP), t.TIMESTAMP)]
    found["_-_"] += [
        (False, (t.TIMESTAMP, t.TIMESTAMP), t.DURATION),
        (False, (t.TIMESTAMP, t.DURATION), t.TIMESTAMP),
        (False, (t.DURATION, t.DURATION), t.DURATION),
    ]
    found["-_"] = [(False, (one,), one) for one in (t.INT, t.DOUBLE)]
    found["!_"] = [(False, (t.BOOL,), t.BOOL)]
    found["_==_"] = found["_!=_"] = [(False, (A, A), t.BOOL)]
    for sign in ("<", "<=", ">", ">="):
        ordered = (t.BOOL, *numbers, t.STRING, t.BYTES, t.TIMESTAMP, t.DURATION)
        found[f"_{sign}_"] = [(False, (one, one), t.BOOL) for one in ordered]
    found["_&&_"] = found["_||_"] = [(False, (t.BOOL, t.BOOL), t.BOOL)]
    found["_?_:_"] = [(False, (t.BOOL, A, A), A)]
    found["@in"] = [(False, (A, lists), t.BOOL), (False, (A, maps), t.BOOL)]
    found["_[_]"] = [
        (False, (lists, t.INT), A),
        (False, (maps, A), B),
        (False, (optional_of(lists), t.INT), optional_of(A)),
        (False, (optional_of(maps), A), optional_of(B)),
    ]
    return found


LIBRARY = Library(
    _overloads(),
    of_any(
        {
            "_+_": add,
            "_-_": subtract,
            "_*_": multiply,
            "_/_": divide,
            "_%_": remainder,
            "-_": negate,
            "_==_": equal,
            "_!=_": lambda one, other: not equal(one, other),
            "_<_": _ordered(lambda one, other: one < other),
            "_<=_": _ordered(lambda one, other: one <= other),
            "_>_": _ordered(lambda one, other: one > other),
            "_>=_": _ordered(lambda one, other: one >= other),
            "@in": contained,
            "_[_]": index,
        }
    ),
)
