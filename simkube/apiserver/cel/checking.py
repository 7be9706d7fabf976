"""Whether an expression makes sense for the types it is about, before anything is evaluated.

After cel-go's checker: the first mistake is told in its words. A function that CEL or Kubernetes has and that is not
here is refused by name (:class:`~.syntax.NotSimulated`).
"""

from __future__ import annotations

from collections.abc import Mapping

from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library import ELSEWHERE, OVERLOADS, call
from simkube.apiserver.cel.library.model import A, B
from simkube.apiserver.cel.syntax import OF_OPTIONALS, CelError, Node, NotSimulated, UInt
from simkube.apiserver.cel.types import Kind, Types

_TYPE_NAMES = frozenset({"int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"})
_TRANSFORMS = frozenset({"map", "sortBy", "transformList", "transformMap", "transformMapEntry"})
MOST_MISTAKES = 100
BINDINGS = "cel.bind"
"""Declared as a name where expressions may use that macro, which only those about devices may."""
_NUMBERS = frozenset({"int", "uint", "double"})
_ORDERED = ("_<_", "_<=_", "_>_", "_>=_")


def check(tree: Node, names: Mapping[str, Kind], types: Types) -> Kind:
    """The type of the expression; :class:`CelError` with all mistakes when it has none."""
    checker = _Checker(types)
    found = checker.of(tree, dict(names))
    if checker.mistakes:
        first, *others = checker.mistakes[:MOST_MISTAKES]
        raise CelError(first.message, first.at, tuple(others))
    return found


class _Checker:
    def __init__(self, types: Types) -> None:
        self._types = types
        self.mistakes: list[CelError] = []

    def of(self, node: Node, names: dict[str, Kind]) -> Kind:
        """The type of a node; of one with a mistake, which is noted, it is any."""
        try:
            return self._of(node, names)
        except NotSimulated:
            raise
        except CelError as error:
            self.mistakes.append(error)
            return t.DYN

    def _of(self, node: Node, names: dict[str, Kind]) -> Kind:
        return {
            "literal": self._literal,
            "name": self._name,
            "select": self._select,
            "maybe": self._maybe,
            "has": self._has,
            "call": self._call,
            "list": self._list,
            "map": self._map,
            "macro": self._macro,
        }[node.kind](node, names)

    def _literal(self, node: Node, _: dict[str, Kind]) -> Kind:
        value = node.value
        if value is None:
            return t.NULL
        if isinstance(value, UInt):
            return t.UINT
        return {bool: t.BOOL, int: t.INT, float: t.DOUBLE, str: t.STRING, bytes: t.BYTES}[value.__class__]

    def _name(self, node: Node, names: dict[str, Kind]) -> Kind:
        if node.text in names:
            return names[node.text]
        if node.text in _TYPE_NAMES or "." in node.text:
            return t.TYPE
        raise CelError(f"undeclared reference to '{node.text}' (in container '')", node.at)

    def _select(self, node: Node, names: dict[str, Kind]) -> Kind:
        if node.dotted in names:
            return names[node.dotted]
        return self._field(self.of(node.of[0], names), node)

    def _maybe(self, node: Node, names: dict[str, Kind]) -> Kind:
        found = self._field(self.of(node.of[0], names), node)
        return found if found.name == t.OPTIONAL else t.optional_of(found)

    def _field(self, target: Kind, node: Node) -> Kind:
        if target.name == t.OPTIONAL:
            found = self._field(target.of[0], node)
            return found if found.name == t.OPTIONAL else t.optional_of(found)
        if target.schema:
            fields = self._types.fields[target.schema]
            if node.text not in fields:
                raise CelError(f"undefined field '{node.text}'", node.at)
            return fields[node.text]
        if target.name == "map":
            return target.of[1]
        if target == t.DYN:
            return t.DYN
        raise CelError(f"type '{target}' does not support field selection", node.at)

    def _has(self, node: Node, names: dict[str, Kind]) -> Kind:
        self._field(self.of(node.of[0], names), node)
        return t.BOOL

    def _list(self, node: Node, names: dict[str, Kind]) -> Kind:
        kinds = [self._entry(one, at in node.optional, names) for at, one in enumerate(node.of)]
        return t.list_of(_joined(kinds, node.of))

    def _entry(self, node: Node, optional: bool, names: dict[str, Kind]) -> Kind:
        """The type of an element, or of what an optional one holds."""
        found = self.of(node, names)
        if not optional or found == t.DYN:
            return found
        if found.name != t.OPTIONAL:
            raise CelError(f"expected type 'optional_type({found})' but found '{found}'", node.at)
        return found.of[0]

    def _map(self, node: Node, names: dict[str, Kind]) -> Kind:
        keys = [self.of(one, names) for one in node.of[::2]]
        values = [self._entry(one, at in node.optional, names) for at, one in enumerate(node.of[1::2])]
        return t.map_of(_joined(keys, node.of[::2]), _joined(values, node.of[1::2]))

    def _macro(self, node: Node, names: dict[str, Kind]) -> Kind:
        if node.text == "bind" and BINDINGS not in names:
            raise CelError("undeclared reference to 'bind' (in container '')", node.at)
        over = self.of(node.of[0], names)
        if node.text == "bind":
            return self.of(node.of[1], {**names, node.names[0]: over})
        if node.text in OF_OPTIONALS:
            return self._of_optional(node, over, names)
        if over.name not in ("list", "map", "dyn"):
            raise CelError(
                f"expression of type '{over}' cannot be range of a comprehension (must be list, map, or dynamic)",
                node.of[0].at,
            )
        first, inner = over.of[0] if over.of else t.DYN, dict(names)
        if len(node.names) == 2:
            key = first if over.name == "map" else t.INT if over.name == "list" else t.DYN
            inner |= {node.names[0]: key, node.names[1]: over.of[-1] if over.of else t.DYN}
        else:
            inner[node.names[0]] = first
        kinds = [self.of(one, inner) for one in node.of[1:]]
        tests = kinds[:-1] if node.text in _TRANSFORMS else kinds
        for kind, one in zip(tests, node.of[1:], strict=False):
            if kind not in (t.BOOL, t.DYN):
                raise CelError(f"expected type 'bool' but found '{kind}'", one.at)
        return self._made(node, first, inner, kinds[-1])

    def _made(self, node: Node, first: Kind, inner: dict[str, Kind], last: Kind) -> Kind:
        if node.text in ("map", "transformList"):
            return t.list_of(last)
        if node.text in ("filter", "sortBy"):
            return t.list_of(first)
        if node.text == "transformMap":
            return t.map_of(inner[node.names[0]], last)
        if node.text == "transformMapEntry":
            if last.name not in ("map", "dyn"):
                raise CelError(f"found no matching overload for 'cel.@mapInsert' applied to '(map, {last})'", node.at)
            return last
        return t.BOOL

    def _of_optional(self, node: Node, over: Kind, names: dict[str, Kind]) -> Kind:
        if over.name not in (t.OPTIONAL, "dyn"):
            raise CelError(f"found no matching overload for 'hasValue' applied to '{over}.()'", node.at)
        made = self.of(node.of[1], {**names, node.names[0]: over.of[0] if over.of else t.DYN})
        if node.text == "optMap":
            return t.optional_of(made)
        if made.name not in (t.OPTIONAL, "dyn"):
            raise CelError(
                f"found no matching overload for '_?_:_' applied to '(bool, {made}, optional_type)'", node.at
            )
        return made

    def _call(self, node: Node, names: dict[str, Kind]) -> Kind:
        if node.method:  # arguments are looked at before what the function is called on
            later = [self.of(one, names) for one in node.of[1:]]
            kinds = [self.of(node.of[0], names), *later]
        else:
            kinds = [self.of(one, names) for one in node.of]
        if node.text not in OVERLOADS:
            if node.text in ELSEWHERE:
                raise NotSimulated(f"the function {node.text} in rules", node.at)
            raise CelError(f"undeclared reference to '{node.text}' (in container '')", node.at)
        self._literals(node)
        if node.text in _ORDERED and all(kind.name in _NUMBERS for kind in kinds):
            return t.BOOL
        found: list[Kind] = []
        for method, wanted, result in OVERLOADS[node.text]:
            if method == node.method and len(wanted) == len(kinds):
                bound: dict[str, Kind] = {}
                if all(_fits(want, kind, bound) for want, kind in zip(wanted, kinds, strict=True)):
                    found.append(_bound(result, bound))
        if not found:
            raise CelError(self._mismatch(node, kinds), node.at)
        return found[0] if len(set(found)) == 1 or t.DYN not in kinds else t.DYN

    def _literals(self, node: Node) -> None:
        """Durations, moments and patterns that are written down can be read."""
        if node.text not in ("duration", "timestamp", "matches") or not node.of:
            return
        given = node.of[-1]
        if given.kind != "literal" or not isinstance(given.value, str):
            return
        try:
            call(node.text, ["", given.value] if node.text == "matches" else [given.value])
        except EvaluationError:
            raise CelError(f"invalid {node.text} argument", given.at) from None

    def _mismatch(self, node: Node, kinds: list[Kind]) -> str:
        given = [str(kind) for kind in kinds]
        shown = f"{given[0]}.({', '.join(given[1:])})" if node.method else f"({', '.join(given)})"
        return f"found no matching overload for '{node.text}' applied to '{shown}'"


def _joined(kinds: list[Kind], nodes: list[Node]) -> Kind:
    """The one type of all elements of a literal; Kubernetes does not let them differ."""
    made: Kind | None = None
    for kind, node in zip(kinds, nodes, strict=True):
        if made is not None and not _compatible(made, kind):
            raise CelError(f"expected type '{made}' but found '{kind}'", node.at)
        made = kind if made in (None, t.NULL) else t.DYN if kind == t.DYN else made
    return t.DYN if made is None else made


def _fits(wanted: Kind, given: Kind, bound: dict[str, Kind]) -> bool:
    """Whether a value of type ``given`` may be passed; notes what type variables stand for."""
    if wanted in (A, B):
        known = bound.get(wanted.name)
        if known is None or known in (t.DYN, t.NULL):
            bound[wanted.name] = given
            return True
        return _compatible(known, given)
    if t.DYN in (wanted, given):
        return True
    if wanted.name != given.name or len(wanted.of) != len(given.of):
        return False
    return all(_fits(one, other, bound) for one, other in zip(wanted.of, given.of, strict=True))


def _compatible(one: Kind, other: Kind) -> bool:
    if t.DYN in (one, other) or one == other:
        return True
    nullable = {"object", "list", "map", "null_type", t.OPTIONAL, t.TIMESTAMP.name, t.DURATION.name}
    if t.NULL in (one, other):
        return one.name in nullable and other.name in nullable
    if one.name != other.name or len(one.of) != len(other.of):
        return False
    return bool(one.of) and all(_compatible(left, right) for left, right in zip(one.of, other.of, strict=True))


def _bound(kind: Kind, bound: dict[str, Kind]) -> Kind:
    if kind in (A, B):
        return bound.get(kind.name, t.DYN)
    return Kind(kind.name, tuple(_bound(one, bound) for one in kind.of), kind.schema)
