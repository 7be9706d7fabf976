"""Lists as sets: ``sets.contains([1, 2], [2])`` (cel-go's ``ext/sets``)."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.library.model import A, Library, function, of_any
from simkube.apiserver.cel.types import list_of
from simkube.apiserver.cel.values import key_of


def _keys(items: list[Any]) -> set[Any]:
    return {key_of(item) for item in items}


_TWO = (list_of(A), list_of(A))

LIBRARY = Library(
    {name: [function(*_TWO, gives=t.BOOL)] for name in ("sets.contains", "sets.equivalent", "sets.intersects")},
    of_any(
        {
            "sets.contains": lambda one, other: _keys(other) <= _keys(one),
            "sets.equivalent": lambda one, other: _keys(one) == _keys(other),
            "sets.intersects": lambda one, other: bool(_keys(one) & _keys(other)),
        }
    ),
)
