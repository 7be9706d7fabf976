"""From the text of an expression to its words: signs, names and literals.

Positions are those that error messages of cel-go point to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      | (?P<string>[rR]?[bB]?[rR]?(?:'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\"
          |'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))
      | (?P<double>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
      | (?P<int>0[xX][0-9a-fA-F]+[uU]?|\d+[uU]?)
      | (?P<name>[_a-zA-Z][_a-zA-Z0-9]*)
      | (?P<quoted>`[a-zA-Z0-9_.\-/ ]+`)
      | (?P<sign>\|\||&&|[<>=!]=|\.\?|\[\?|[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)


class CelError(Exception):
    """A mistake in an expression, with the place that it is at (an offset into the text); ``more`` are others."""

    def __init__(self, message: str, at: int, more: tuple[CelError, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.more = more

    def shown(self, text: str) -> str:
        """All mistakes as cel-go prints them, in the order of the text."""
        return "\n".join(one._shown(text) for one in sorted((self, *self.more), key=lambda one: one.at))

    def _shown(self, text: str) -> str:
        """Line, column, the line itself and a caret below."""
        before = text[: self.at]
        line, start = before.count("\n") + 1, before.rfind("\n") + 1
        content = text[start:].partition("\n")[0]
        column = self.at - start
        return f"ERROR: <input>:{line}:{column + 1}: {self.message}\n | {content}\n | {'.' * column}^"


class NotSimulated(CelError):
    """Something of CEL that is not here; the message names it."""


class UInt(int):
    """An unsigned integer."""

    __slots__ = ()


def tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """``(kind, text, position)`` of each word; the last is of kind ``end``."""
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise CelError(f"Syntax error: token recognition error at: '{text[at]}'", at)
        if match.lastgroup != "space":
            yield str(match.lastgroup), match[0], at
        at = match.end()
    yield "end", "", len(text)


def _int(text: str, at: int) -> int:
    unsigned = text[-1] in "uU"
    value = int(text.rstrip("uU"), 0) if text[:2] in ("0x", "0X") else int(text.rstrip("uU"))
    if value >= (1 << 64 if unsigned else 1 << 63):
        raise CelError("invalid uint literal" if unsigned else "invalid int literal", at)
    return UInt(value) if unsigned else value


def _string(text: str, at: int) -> str | bytes:
    prefix = re.match(r"[rRbB]*", text)[0].lower()  # type: ignore[index]  # it matches the empty text too
    body = text[len(prefix) :]
    quotes = 3 if body[:3] in ("'''", '"""') else 1
    body = body[quotes:-quotes]
    made = body if "r" in prefix else _unescaped(body, at)
    return made.encode() if "b" in prefix else made


def _unescaped(body: str, at: int) -> str:
    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "xXuU":
            return chr(int(code[1:], 16))
        if code[0] in "0123":
            return chr(int(code, 8))
        if code in _ESCAPES:
            return _ESCAPES[code]
        if code in "\\'\"`?":
            return code
        raise CelError(f"Syntax error: invalid escape sequence \\{code}", at)

    try:
        pattern = r"\\([xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}|.)"
        return re.sub(pattern, one, body, flags=re.DOTALL)
    except (ValueError, OverflowError):
        raise CelError("Syntax error: invalid unicode code point", at) from None


LITERALS: dict[str, Any] = {"int": _int, "double": lambda text, _: float(text), "string": _string}
"""What the text of a literal means, by its kind."""
