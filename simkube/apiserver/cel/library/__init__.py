"""The functions of expressions, a library a module: those of ``apiserver/pkg/cel/environment/base.go`` in 1.36.

:data:`ELSEWHERE` names what that has beyond these.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library import (
    addresses,
    authorizer,
    conversions,
    formats,
    lists,
    operators,
    optionals,
    quantities,
    regex,
    sets,
    strings,
    urls,
    versions,
)
from simkube.apiserver.cel.library.model import Function, Overload

_ALL = (
    *(operators, conversions, optionals, strings, lists, regex, sets),
    *(quantities, urls, addresses, versions, formats, authorizer),
)
ELSEWHERE = frozenset({"image", "isImage", "containsDigest", "registry", "repository", "identifier", "tag", "digest"})
"""Functions about references to images."""


def _overloads() -> dict[str, list[Overload]]:
    found: dict[str, list[Overload]] = {}
    for module in _ALL:
        for name, overloads in module.LIBRARY.overloads.items():
            found.setdefault(name, []).extend(overloads)
    return found


OVERLOADS = _overloads()
_FUNCTIONS: dict[tuple[str, type | None], Function] = {
    key: function for module in _ALL for key, function in module.LIBRARY.functions.items()
}


def call(name: str, arguments: Sequence[Any]) -> Any:
    """What a function makes of its arguments; :class:`EvaluationError` when it makes nothing of them."""
    function = _chosen(name, arguments[0].__class__ if arguments else None)
    if function is None:
        raise EvaluationError("no such overload")
    try:
        return function(*arguments)
    except (TypeError, AttributeError):
        raise EvaluationError("no such overload") from None


@functools.cache
def _chosen(name: str, kind: type | None) -> Function | None:
    of_class = (_FUNCTIONS.get((name, one)) for one in (kind.__mro__ if kind is not None else ()))
    return next((one for one in of_class if one is not None), _FUNCTIONS.get((name, None)))
