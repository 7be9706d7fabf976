"""From the text of an expression to its tree.

Positions are those that error messages of cel-go point to. It refuses (:class:`CelError`) what is no expression, and
texts and trees beyond a bound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

MOST_TEXT = 5000
MOST_DEPTH = 40
MOST_LEVELS = 100
MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      | (?P<string>[rR]?[bB]?[rR]?(?:'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\"
          |'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))
      | (?P<double>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
      | (?P<int>0[xX][0-9a-fA-F]+[uU]?|\d+[uU]?)
      | (?P<name>[_a-zA-Z][_a-zA-Z0-9]*)
      | (?P<sign>\|\||&&|[<>=!]=|\.\?|\[\?|[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)

_EXPECTED = (
    "expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, "
    "IDENTIFIER}"
)


class CelError(Exception):
    """A mistake in an expression, with the place that it is at (an offset into the text)."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at

    def shown(self, text: str) -> str:
        """The mistake as cel-go prints it: line, column, the line itself and a caret below."""
        before = text[: self.at]
        line, start = before.count("\n") + 1, before.rfind("\n") + 1
        content = text[start:].partition("\n")[0]
        column = self.at - start
        return f"ERROR: <input>:{line}:{column + 1}: {self.message}\n | {content}\n | {'.' * column}^"


class NotSimulated(CelError):
    """Something of CEL that is not here; the message names it."""


@dataclass(slots=True)
class Node:
    """A node of the tree.

    ``kind`` is ``literal`` (``value``), ``name`` (``text``), ``select`` and ``has`` (``text`` of ``of[0]``), ``call``
    (function ``text`` of ``of``; ``method`` when the first of them is what it is called on), ``list``, ``map`` (keys
    and values in turn) or ``macro`` (``text`` over ``of[0]`` with ``names``; the rest of ``of`` are its arguments).
    """

    kind: str
    at: int
    text: str = ""
    of: list[Node] = field(default_factory=list)
    value: Any = None
    method: bool = False
    names: tuple[str, ...] = ()


class UInt(int):
    """An unsigned integer."""

    __slots__ = ()


def parse(text: str) -> Node:
    """The tree of an expression."""
    if len(text) > MOST_TEXT:
        raise NotSimulated(f"a rule of more than {MOST_TEXT} characters", 0)
    parser = _Parser(text)
    tree = parser.expression()
    parser.end()
    if _depth(tree) > MOST_LEVELS:
        raise NotSimulated(f"a rule of more than {MOST_LEVELS} operations one after another", 0)
    return tree


def _depth(tree: Node) -> int:
    """How many nodes deep the tree is; a chain of operators is as deep as it is long."""
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [below for one in level for below in one.of]
    return depth


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0

    def _peek(self) -> str:
        kind, text, _ = self._tokens[self._next]
        return text if kind == "sign" or text == "in" else ""

    def _take(self, *wanted: str) -> int | None:
        """The position of the next token when it is one of these signs, which is passed; else None."""
        if self._peek() and self._peek() in wanted:
            at: int = self._tokens[self._next][2]
            self._next += 1
            return at
        return None

    def _expect(self, sign: str) -> int:
        at = self._take(sign)
        if at is None:
            self._fail(f"expecting '{sign}'")
        return at or 0

    def _fail(self, why: str = "") -> None:
        kind, text, at = self._tokens[self._next]
        shown = "<EOF>" if kind == "end" else text
        raise CelError(f"Syntax error: mismatched input '{shown}' {why or _EXPECTED}", at)

    def end(self) -> None:
        """Nothing may be left."""
        if self._tokens[self._next][0] != "end":
            self._fail("expecting <EOF>")

    def expression(self) -> Node:
        """A conditional, the loosest of all."""
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise NotSimulated(f"a rule nested more than {MOST_DEPTH} deep", self._tokens[self._next][2])
        test = self._or()
        at = self._take("?")
        if at is not None:
            one = self._or()
            self._expect(":")
            test = Node("call", at, "_?_:_", [test, one, self.expression()])
        self._depth -= 1
        return test

    def _or(self) -> Node:
        left = self._and()
        while (at := self._take("||")) is not None:
            left = Node("call", at, "_||_", [left, self._and()])
        return left

    def _and(self) -> Node:
        left = self._relation()
        while (at := self._take("&&")) is not None:
            left = Node("call", at, "_&&_", [left, self._relation()])
        return left

    def _relation(self) -> Node:
        left = self._sum()
        while self._peek() in ("<", "<=", ">", ">=", "==", "!=", "in"):
            sign = self._peek()
            at = self._take(sign) or 0
            left = Node("call", at, "@in" if sign == "in" else f"_{sign}_", [left, self._sum()])
        return left

    def _sum(self) -> Node:
        left = self._product()
        while self._peek() in ("+", "-"):
            sign = self._peek()
            at = self._take(sign) or 0
            left = Node("call", at, f"_{sign}_", [left, self._product()])
        return left

    def _product(self) -> Node:
        left = self._unary()
        while self._peek() in ("*", "/", "%"):
            sign = self._peek()
            at = self._take(sign) or 0
            left = Node("call", at, f"_{sign}_", [left, self._unary()])
        return left

    def _unary(self) -> Node:
        signs: list[tuple[str, int]] = []
        while self._peek() in ("!", "-"):
            sign = self._peek()
            signs.append((sign, self._take(sign) or 0))
            if len(signs) > MOST_DEPTH:
                raise NotSimulated("so many signs in a row", signs[-1][1])
        made = self._member()
        for sign, at in reversed(signs):
            if sign == "-" and made.kind == "literal" and made.value.__class__ in (int, float):
                made = Node("literal", at, value=-made.value)
            else:
                made = Node("call", at, f"{sign}_", [made])
        return made

    def _member(self) -> Node:
        made = self._primary()
        while True:
            if self._peek() in (".?", "[?"):
                raise NotSimulated("optional values in rules (.? and [?])", self._tokens[self._next][2])
            if (at := self._take(".")) is not None:
                made = self._selected(made, at)
            elif (at := self._take("[")) is not None:
                index = self.expression()
                self._expect("]")
                made = Node("call", at, "_[_]", [made, index])
            elif self._peek() == "{" and made.kind in ("name", "select"):
                raise NotSimulated("messages in rules", self._tokens[self._next][2])
            else:
                return made

    def _selected(self, target: Node, dot: int) -> Node:
        kind, name, _ = self._tokens[self._next]
        if kind != "name":
            self._fail("expecting a name")
        self._next += 1
        at = self._take("(")
        if at is None:
            return Node("select", dot, name, [target])
        arguments = self._arguments(")")
        if name in MACROS and len(arguments) in (2, 3):
            return _macro(name, at, target, arguments)
        return Node("call", at, name, [target, *arguments], method=True)

    def _arguments(self, close: str) -> list[Node]:
        found: list[Node] = []
        while self._take(close) is None:
            if found:
                self._expect(",")
                if self._take(close) is not None:
                    break
            found.append(self.expression())
        return found

    def _primary(self) -> Node:
        kind, text, at = self._tokens[self._next]
        if self._take("(") is not None:
            made = self.expression()
            self._expect(")")
            return made
        if self._take("[") is not None:
            return Node("list", at, of=self._arguments("]"))
        if self._take("{") is not None:
            return Node("map", at, of=self._entries())
        if self._take(".") is not None:
            return self._primary()
        self._next += 1
        if kind in ("int", "double", "string"):
            return Node("literal", at, value=_LITERALS[kind](text, at))
        if kind != "name" or text == "in":
            self._next -= 1
            self._fail()
        if text in ("true", "false", "null"):
            return Node("literal", at, value={"true": True, "false": False, "null": None}[text])
        opened = self._take("(")
        return Node("name", at, text) if opened is None else self._called(text, opened)

    def _called(self, name: str, at: int) -> Node:
        arguments = self._arguments(")")
        if name != "has":
            return Node("call", at, name, arguments)
        if len(arguments) != 1 or arguments[0].kind != "select":
            raise CelError("invalid argument to has() macro", at)
        return Node("has", at, arguments[0].text, arguments[0].of)

    def _entries(self) -> list[Node]:
        found: list[Node] = []
        while self._take("}") is None:
            if found:
                self._expect(",")
                if self._take("}") is not None:
                    break
            found.append(self.expression())
            self._expect(":")
            found.append(self.expression())
        return found


def _macro(name: str, at: int, target: Node, arguments: list[Node]) -> Node:
    usual = "exists_one" if name == "existsOne" else name
    variables = arguments[: -1 if usual != "map" or len(arguments) == 2 else 1]
    if any(one.kind != "name" for one in variables):
        raise CelError("argument must be a simple name", arguments[0].at)
    names = tuple(one.text for one in variables)
    if len(names) > 1 and usual not in ("all", "exists", "exists_one"):
        raise CelError(f"undeclared reference to '{name}'", at)
    return Node("macro", at, usual, [target, *arguments[len(names) :]], names=names)


def _tokens(text: str) -> Any:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise CelError(f"Syntax error: token recognition error at: '{text[at]}'", at)
        if match.lastgroup != "space":
            yield match.lastgroup, match[0], at
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


_LITERALS: dict[str, Any] = {"int": _int, "double": lambda text, _: float(text), "string": _string}
