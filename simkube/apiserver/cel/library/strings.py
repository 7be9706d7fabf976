"""Strings (cel-go's ``ext/strings``, version 2): positions count characters, not bytes."""

from __future__ import annotations

from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library.formatting import formatted, quoted
from simkube.apiserver.cel.library.model import Library, function, method, of_any, of_class
from simkube.apiserver.cel.types import list_of

_LONGEST = 1_000_000
_LOW, _HIGH = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _position(at: int, size: int) -> int:
    if not 0 <= at <= size:
        raise EvaluationError(f"index out of range: {at}")
    return at


def _char(text: str, at: int) -> str:
    return text[_position(at, len(text)) :][:1]


def _index_of(text: str, what: str, start: int = 0) -> int:
    return text.find(what, _position(start, len(text)))


def _last_index_of(text: str, what: str, end: int | None = None) -> int:
    return text.rfind(what) if end is None else text.rfind(what, 0, _position(end, len(text)) + len(what))


def _replace(text: str, old: str, new: str, most: int = -1) -> str:
    if len(new) * (text.count(old) if old else len(text) + 1) > _LONGEST:
        raise EvaluationError("the result is too long")
    return text.replace(old, new, most)


def _split(text: str, by: str, most: int = -1) -> list[str]:
    if most == 0:
        return []
    if not by:
        pieces = list(text) if most < 0 else [*text[: most - 1], text[most - 1 :]]
        return [piece for piece in pieces if piece]
    return text.split(by, most - 1 if most > 0 else -1)


def _substring(text: str, start: int, end: int | None = None) -> str:
    end = len(text) if end is None else end
    if start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    return text[_position(start, len(text)) : _position(end, len(text))]


def _join(parts: list[str], by: str = "") -> str:
    return by.join(parts)


_S, _TEXTS = t.STRING, list_of(t.STRING)

LIBRARY = Library(
    {
        **{name: [method(_S, _S, gives=t.BOOL)] for name in ("contains", "startsWith", "endsWith")},
        "charAt": [method(_S, t.INT, gives=_S)],
        "indexOf": [method(_S, _S, gives=t.INT), method(_S, _S, t.INT, gives=t.INT)],
        "lastIndexOf": [method(_S, _S, gives=t.INT), method(_S, _S, t.INT, gives=t.INT)],
        **{name: [method(_S, gives=_S)] for name in ("lowerAscii", "upperAscii", "trim")},
        "replace": [method(_S, _S, _S, gives=_S), method(_S, _S, _S, t.INT, gives=_S)],
        "split": [method(_S, _S, gives=_TEXTS), method(_S, _S, t.INT, gives=_TEXTS)],
        "substring": [method(_S, t.INT, gives=_S), method(_S, t.INT, t.INT, gives=_S)],
        "join": [method(_TEXTS, gives=_S), method(_TEXTS, _S, gives=_S)],
        "format": [method(_S, list_of(t.DYN), gives=_S)],
        "strings.quote": [function(_S, gives=_S)],
    },
    {
        **of_class(
            str,
            {
                "contains": lambda text, part: part in text,
                "startsWith": str.startswith,
                "endsWith": str.endswith,
                "charAt": _char,
                "indexOf": _index_of,
                "lastIndexOf": _last_index_of,
                "lowerAscii": lambda text: text.translate(str.maketrans(_HIGH, _LOW)),
                "upperAscii": lambda text: text.translate(str.maketrans(_LOW, _HIGH)),
                "trim": str.strip,
                "replace": _replace,
                "split": _split,
                "substring": _substring,
                "format": formatted,
            },
        ),
        **of_any({"join": _join, "strings.quote": quoted}),
    },
)
