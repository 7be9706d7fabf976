"""Lists: Kubernetes' own (``cel/library/lists.go``), and cel-go's ``ext/lists`` (version 3)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library.model import A, Library, function, method, of_any, of_class
from simkube.apiserver.cel.library.operators import add
from simkube.apiserver.cel.types import list_of
from simkube.apiserver.cel.values import equal, key_of

_COMPARABLE = (t.INT, t.UINT, t.DOUBLE, t.BOOL, t.DURATION, t.TIMESTAMP, t.STRING, t.BYTES)
_LONGEST = 100_000


def _index_of(items: list[Any], what: Any) -> int:
    return next((at for at, item in enumerate(items) if equal(item, what)), -1)


def _last_index_of(items: list[Any], what: Any) -> int:
    return next((at for at in range(len(items) - 1, -1, -1) if equal(items[at], what)), -1)


def _extreme(items: list[Any], name: str) -> Any:
    if not items:
        raise EvaluationError(f"{name} called on empty list")
    return min(items) if name == "min" else max(items)


def _sum(items: list[Any]) -> Any:
    total: Any = items[0] if items else 0
    for item in items[1:]:
        total = add(total, item)
    return total


def _slice(items: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise EvaluationError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise EvaluationError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if end > len(items):
        raise EvaluationError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return list(items[start:end])


def _flatten(items: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    made: list[Any] = []
    for item in items:
        made += _flatten(item, depth - 1) if isinstance(item, list) and depth > 0 else [item]
    return made


def _distinct(items: list[Any]) -> list[Any]:
    first: dict[Any, Any] = {}
    for item in items:
        first.setdefault(key_of(item), item)
    return list(first.values())


def _sorted(items: list[Any]) -> list[Any]:
    return sorted(items)


def _range(size: int) -> list[int]:
    if size > _LONGEST:
        raise EvaluationError("the result is too long")
    return list(range(size))


def sorted_by(items: list[Any], keys: list[Any]) -> list[Any]:
    """The items in the order of their keys."""
    try:
        return [items[at] for at in sorted(range(len(items)), key=lambda at: keys[at])]
    except TypeError:
        raise EvaluationError("no such overload") from None


_MANY = list_of(A)

LIBRARY = Library(
    {
        "indexOf": [method(_MANY, A, gives=t.INT)],
        "lastIndexOf": [method(_MANY, A, gives=t.INT)],
        "isSorted": [method(list_of(one), gives=t.BOOL) for one in _COMPARABLE],
        "sum": [method(list_of(one), gives=one) for one in (t.INT, t.UINT, t.DOUBLE, t.DURATION)],
        "min": [method(list_of(one), gives=one) for one in _COMPARABLE],
        "max": [method(list_of(one), gives=one) for one in _COMPARABLE],
        "slice": [method(_MANY, t.INT, t.INT, gives=_MANY)],
        "flatten": [method(list_of(_MANY), gives=_MANY), method(list_of(t.DYN), t.INT, gives=list_of(t.DYN))],
        "distinct": [method(_MANY, gives=_MANY)],
        "reverse": [method(_MANY, gives=_MANY)],
        "sort": [method(list_of(one), gives=list_of(one)) for one in _COMPARABLE],
        "lists.range": [function(t.INT, gives=list_of(t.INT))],
    },
    {
        **of_class(
            list,
            {
                "indexOf": _index_of,
                "lastIndexOf": _last_index_of,
                "isSorted": lambda items: all(not one > other for one, other in pairwise(items)),
                "sum": _sum,
                "min": lambda items: _extreme(items, "min"),
                "max": lambda items: _extreme(items, "max"),
                "slice": _slice,
                "flatten": _flatten,
                "distinct": _distinct,
                "reverse": lambda items: items[::-1],
                "sort": _sorted,
            },
        ),
        **of_any({"lists.range": _range}),
    },
)
