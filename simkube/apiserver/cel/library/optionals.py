"""Values that may be missing: ``optional.of``, ``.hasValue()``, ``.orValue(x)`` (cel-go's ``OptionalTypes``)."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library.model import A, B, Library, function, method, of_any, of_class
from simkube.apiserver.cel.types import list_of, map_of, optional_of
from simkube.apiserver.cel.values import NONE, Optional


def hashable(item: Any) -> bool:
    """Whether it can be the key of a map."""
    return isinstance(item, (str, int, float, bool))


def at_index(where: Any, key: Any) -> Optional:
    """``[?]``: the element, if there is one."""
    if isinstance(where, Optional):
        return at_index(where.items[0], key) if where.there else NONE
    if isinstance(where, dict):
        return Optional((where[key],)) if hashable(key) and key in where else NONE
    if not isinstance(where, list):
        raise EvaluationError("no such overload")
    if isinstance(key, float) and key.is_integer():
        key = int(key)
    if not isinstance(key, int) or isinstance(key, bool):
        raise EvaluationError("no such overload")
    return Optional((where[key],)) if 0 <= key < len(where) else NONE


def at_field(where: Any, name: str) -> Optional:
    """``.?``: the field, if there is one."""
    if isinstance(where, Optional):
        return at_field(where.items[0], name) if where.there else NONE
    if not isinstance(where, dict):
        raise EvaluationError("no such overload")
    return Optional((where[name],)) if name in where else NONE


def _value(given: Optional) -> Any:
    if not given.there:
        raise EvaluationError("optional.none() dereference")
    return given.items[0]


def _unless_zero(value: Any) -> Optional:
    return Optional((value,)) if value not in (None, 0, "", b"", [], {}) else NONE


def _unwrapped(items: list[Any]) -> list[Any]:
    return [item.items[0] for item in items if item.there]


_SOME = optional_of(A)
_MANY = list_of(A)

LIBRARY = Library(
    {
        "optional.of": [function(A, gives=_SOME)],
        "optional.ofNonZeroValue": [function(A, gives=_SOME)],
        "optional.none": [function(gives=_SOME)],
        "optional.unwrap": [function(list_of(_SOME), gives=_MANY)],
        "unwrapOpt": [method(list_of(_SOME), gives=_MANY)],
        "hasValue": [method(_SOME, gives=t.BOOL)],
        "value": [method(_SOME, gives=A)],
        "or": [method(_SOME, _SOME, gives=_SOME)],
        "orValue": [method(_SOME, A, gives=A)],
        "first": [method(_MANY, gives=_SOME)],
        "last": [method(_MANY, gives=_SOME)],
        "_[?_]": [
            function(_MANY, t.INT, gives=_SOME),
            function(map_of(A, B), A, gives=optional_of(B)),
            function(optional_of(_MANY), t.INT, gives=_SOME),
            function(optional_of(map_of(A, B)), A, gives=optional_of(B)),
        ],
    },
    {
        **of_any(
            {
                "optional.of": lambda value: Optional((value,)),
                "optional.ofNonZeroValue": _unless_zero,
                "optional.none": lambda: NONE,
                "optional.unwrap": _unwrapped,
                "_[?_]": at_index,
            }
        ),
        **of_class(
            Optional,
            {
                "hasValue": lambda given: given.there,
                "value": _value,
                "or": lambda given, other: given if given.there else other,
                "orValue": lambda given, other: given.items[0] if given.there else other,
            },
        ),
        **of_class(
            list,
            {
                "unwrapOpt": _unwrapped,
                "first": lambda items: Optional(tuple(items[:1])),
                "last": lambda items: Optional(tuple(items[-1:])),
            },
        ),
    },
)
