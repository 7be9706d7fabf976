"""From the text of an expression to its tree.

Positions are those that error messages of cel-go point to. It refuses (:class:`CelError`) what is no expression, and
texts and trees beyond a bound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from simkube.apiserver.cel.tokens import LITERALS, CelError, NotSimulated, UInt, tokens

MOST_TEXT = 5000
MOST_DEPTH = 40
MOST_LEVELS = 100
MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter", "sortBy"})
TWO_VARIABLES = frozenset({"transformList", "transformMap", "transformMapEntry"})
"""Macros that always have two variables: index and element, or key and value."""
OF_OPTIONALS = frozenset({"optMap", "optFlatMap"})
SPACES = frozenset(
    {"sets", "math", "optional", "lists", "strings", "ip", "format", "net", "kubernetes", "google", "cel"}
)
"""Names that functions and types are found behind (``sets.contains``, ``net.IP``)."""
_DOTTED = re.compile(
    r"sets\.(contains|equivalent|intersects)|optional\.(of|ofNonZeroValue|none|unwrap)|lists\.range|strings\.quote"
    r"|ip\.isCanonical|format\.\w+|net\.(IP|CIDR)|kubernetes\.(Quantity|URL|Semver|NamedFormat)"
    r"|google\.protobuf\.(Timestamp|Duration)"
)
_EXPECTED = (
    "expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, "
    "IDENTIFIER}"
)


@dataclass(slots=True)
class Node:
    """A node of the tree.

    ``kind`` is ``literal`` (``value``), ``name`` (``text``), ``select``, ``maybe`` (``.?``) and ``has`` (``text`` of
    ``of[0]``), ``call`` (function ``text`` of ``of``; ``method`` when the first of them is what it is called on),
    ``list``, ``map`` (keys and values in turn) or ``macro`` (``text`` over ``of[0]`` with ``names``; the rest of ``of``
    are its arguments). ``optional`` are the elements of a list, or the entries of a map, that are only there if they
    have a value.
    """

    kind: str
    at: int
    text: str = ""
    of: list[Node] = field(default_factory=list)
    value: Any = None
    method: bool = False
    names: tuple[str, ...] = ()
    optional: frozenset[int] = frozenset()

    @property
    def dotted(self) -> str:
        """``a.b.c`` when the node is that, else ""."""
        if self.kind == "name":
            return self.text
        before = self.of[0].dotted if self.kind == "select" else ""
        return f"{before}.{self.text}" if before else ""


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
        self._tokens = list(tokens(text))
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
            if (at := self._take(".?")) is not None:
                made = Node("maybe", at, self._field_name(), [made])
            elif (at := self._take("[?")) is not None:
                index = self.expression()
                self._expect("]")
                made = Node("call", at, "_[?_]", [made, index])
            elif (at := self._take(".")) is not None:
                made = self._selected(made, at)
            elif (at := self._take("[")) is not None:
                index = self.expression()
                self._expect("]")
                made = Node("call", at, "_[_]", [made, index])
            elif self._peek() == "{" and made.kind in ("name", "select"):
                raise NotSimulated("messages in rules", self._tokens[self._next][2])
            else:
                return made

    def _field_name(self) -> str:
        kind, name, _ = self._tokens[self._next]
        if kind == "quoted":
            name = name[1:-1]
        elif kind != "name":
            self._fail("expecting a name")
        self._next += 1
        return str(name)

    def _selected(self, target: Node, dot: int) -> Node:
        name = self._field_name()
        dotted = f"{target.dotted}.{name}" if target.dotted.partition(".")[0] in SPACES else ""
        at = self._take("(")
        if at is None:
            if dotted and _DOTTED.fullmatch(dotted):
                return Node("name", dot, dotted)
            return Node("select", dot, name, [target])
        arguments = self._arguments(")")
        if dotted and _DOTTED.fullmatch(dotted):
            return Node("call", at, dotted, arguments)
        if dotted == "cel.bind" and len(arguments) == 3:
            return _bind(at, arguments)
        least, most = (3, 4) if name in TWO_VARIABLES else (2, 2) if name in OF_OPTIONALS else (2, 4)
        if name in MACROS | TWO_VARIABLES | OF_OPTIONALS and least <= len(arguments) <= most:
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

    def _list(self, at: int, first: bool) -> Node:
        """The rest of a list, whose ``[`` is behind; ``[?`` when its first element is optional."""
        found: list[Node] = []
        optional: set[int] = set()
        while first or self._take("]") is None:
            if found:
                self._expect(",")
                if self._take("]") is not None:
                    break
            if first or self._take("?") is not None:
                optional.add(len(found))
            first = False
            found.append(self.expression())
        return Node("list", at, of=found, optional=frozenset(optional))

    def _primary(self) -> Node:
        kind, text, at = self._tokens[self._next]
        if self._take("(") is not None:
            made = self.expression()
            self._expect(")")
            return made
        if self._take("[") is not None:
            return self._list(at, False)
        if self._take("[?") is not None:
            return self._list(at, True)
        if self._take("{") is not None:
            return self._map(at)
        if self._take(".") is not None:
            return self._primary()
        self._next += 1
        if kind in ("int", "double", "string"):
            return Node("literal", at, value=LITERALS[kind](text, at))
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

    def _map(self, at: int) -> Node:
        found: list[Node] = []
        optional: set[int] = set()
        while self._take("}") is None:
            if found:
                self._expect(",")
                if self._take("}") is not None:
                    break
            if self._take("?") is not None:
                optional.add(len(found) // 2)
            found.append(self.expression())
            self._expect(":")
            found.append(self.expression())
        return Node("map", at, of=found, optional=frozenset(optional))


def _macro(name: str, at: int, target: Node, arguments: list[Node]) -> Node:
    usual = "exists_one" if name == "existsOne" else name
    if usual in TWO_VARIABLES or (usual in ("all", "exists", "exists_one") and len(arguments) == 3):
        count = 2
    elif len(arguments) in (2, 3) and (usual == "map" or len(arguments) == 2):
        count = 1
    else:
        return Node("call", at, name, [target, *arguments], method=True)
    if any(one.kind != "name" for one in arguments[:count]):
        raise CelError("argument must be a simple name", arguments[0].at)
    names = tuple(one.text for one in arguments[:count])
    return Node("macro", at, usual, [target, *arguments[count:]], names=names)


def _bind(at: int, arguments: list[Node]) -> Node:
    """``cel.bind(name, value, expression)``."""
    name, value, used = arguments
    if name.kind != "name":
        raise CelError("cel.bind() variable names must be simple identifiers", name.at)
    return Node("macro", at, "bind", [value, used], names=(name.text,))


__all__ = ["CelError", "Node", "NotSimulated", "UInt", "parse"]
