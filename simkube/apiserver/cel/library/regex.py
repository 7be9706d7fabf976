"""Regular expressions: ``matches`` of CEL, ``find`` and ``findAll`` of Kubernetes (``cel/library/regex.go``)."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library.model import Library, function, method, of_any
from simkube.apiserver.cel.types import list_of
from simkube.apiserver.schema.custom.patterns import PatternError, compiled, cost, found_in

NAMES = frozenset({"matches", "find", "findAll"})


def _matches(text: str, pattern: str) -> bool:
    try:
        return found_in(pattern, text)
    except PatternError as error:
        raise EvaluationError(f"error parsing regexp: {error}") from None


def _find(text: str, pattern: str) -> str:
    return next(iter(_find_all(text, pattern, 1)), "")


def _find_all(text: str, pattern: str, most: int = -1) -> list[str]:
    try:
        found: list[str] = []
        for match in compiled(pattern).finditer(text):
            if 0 <= most <= len(found):
                break
            found.append(match.group(0))
        return found
    except PatternError as error:
        raise EvaluationError(f"error parsing regexp: {error}") from None


def cost_of(arguments: list[Any]) -> int:
    """What one of :data:`NAMES` may take, as :func:`cost`."""
    texts = [each for each in arguments[:2] if isinstance(each, str)]
    return cost(texts[1], texts[0]) if len(texts) == 2 else 0


_TWO = (t.STRING, t.STRING)

LIBRARY = Library(
    {
        "matches": [method(*_TWO, gives=t.BOOL), function(*_TWO, gives=t.BOOL)],
        "find": [method(*_TWO, gives=t.STRING)],
        "findAll": [method(*_TWO, gives=list_of(t.STRING)), method(*_TWO, t.INT, gives=list_of(t.STRING))],
    },
    of_any({"matches": _matches, "find": _find, "findAll": _find_all}),
)
