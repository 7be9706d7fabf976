"""Whether an expression makes sense for the types it is about, before anything is evaluated.

After cel-go's checker: the first mistake is told in its words. A function that CEL or Kubernetes has and that is not
here is refused by name (:class:`~.syntax.NotSimulated`).
"""

from __future__ import annotations

from collections.abc import Mapping

from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.functions import ELSEWHERE, OVERLOADS, A, B
from simkube.apiserver.cel.syntax import CelError, Node, NotSimulated, UInt
from simkube.apiserver.cel.types import Kind, Types

_NUMBERS = frozenset({"int", "uint", "double"})
_ORDERED = ("_<_", "_<=_", "_>_", "_>=_")


def check(tree: Node, names: Mapping[str, Kind], types: Types) -> Kind:
    """The type of the expression; :class:`CelError` when it has none."""
    return _Checker(types).of(tree, dict(names))


class _Checker:
    def __init__(self, types: Types) -> None:
        self._types = types

    def of(self, node: Node, names: dict[str, Kind]) -> Kind:
        return {
            "literal": self._literal,
            "name": self._name,
            "select": self._select,
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
        if node.text in ("int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"):
            return t.TYPE
        raise CelError(f"undeclared reference to '{node.text}' (in container '')", node.at)

    def _select(self, node: Node, names: dict[str, Kind]) -> Kind:
        return self._field(self.of(node.of[0], names), node)

    def _field(self, target: Kind, node: Node) -> Kind:
        if target.name == "object":
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
        return t.list_of(_joined([self.of(one, names) for one in node.of]))

    def _map(self, node: Node, names: dict[str, Kind]) -> Kind:
        kinds = [self.of(one, names) for one in node.of]
        return t.map_of(_joined(kinds[::2]), _joined(kinds[1::2]))

    def _macro(self, node: Node, names: dict[str, Kind]) -> Kind:
        over = self.of(node.of[0], names)
        if over.name not in ("list", "map", "dyn"):
            raise CelError(
                f"expression of type '{over}' cannot be range of a comprehension (must be list, map, or dynamic)",
                node.of[0].at,
            )
        first = over.of[0] if over.of else t.DYN
        inner = dict(names)
        if len(node.names) == 2:
            second = over.of[-1] if over.of else t.DYN
            inner |= {node.names[0]: first if over.name == "map" else t.INT, node.names[1]: second}
        else:
            inner[node.names[0]] = first
        kinds = [self.of(one, inner) for one in node.of[1:]]
        tests = kinds if node.text != "map" else kinds[:-1]
        for kind, one in zip(tests, node.of[1:], strict=False):
            if kind not in (t.BOOL, t.DYN):
                raise CelError(f"expected type 'bool' but found '{kind}'", one.at)
        if node.text == "map":
            return t.list_of(kinds[-1])
        if node.text == "filter":
            return t.list_of(first)
        return t.BOOL

    def _call(self, node: Node, names: dict[str, Kind]) -> Kind:
        if node.text not in OVERLOADS:
            if node.text in ELSEWHERE:
                raise NotSimulated(f"the function {node.text} in rules", node.at)
            raise CelError(f"undeclared reference to '{node.text}' (in container '')", node.at)
        kinds = [self.of(one, names) for one in node.of]
        if node.text in _ORDERED and all(kind.name in _NUMBERS for kind in kinds):
            return t.BOOL
        for method, wanted, result in OVERLOADS[node.text]:
            if method == node.method and len(wanted) == len(kinds):
                bound: dict[str, Kind] = {}
                if all(_fits(want, kind, bound) for want, kind in zip(wanted, kinds, strict=True)):
                    return _bound(result, bound)
        raise CelError(self._mismatch(node, kinds), node.at)

    def _mismatch(self, node: Node, kinds: list[Kind]) -> str:
        given = [str(kind) for kind in kinds]
        shown = f"{given[0]}.({', '.join(given[1:])})" if node.method else f"({', '.join(given)})"
        return f"found no matching overload for '{node.text}' applied to '{shown}'"


def _joined(kinds: list[Kind]) -> Kind:
    distinct = list(dict.fromkeys(kinds))
    return distinct[0] if len(distinct) == 1 else t.DYN


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
    nullable = {"object", "list", "map", "null_type", t.TIMESTAMP.name, t.DURATION.name}
    if t.NULL in (one, other):
        return one.name in nullable and other.name in nullable
    if one.name != other.name or len(one.of) != len(other.of):
        return False
    return bool(one.of) and all(_compatible(left, right) for left, right in zip(one.of, other.of, strict=True))


def _bound(kind: Kind, bound: dict[str, Kind]) -> Kind:
    if kind in (A, B):
        return bound.get(kind.name, t.DYN)
    return Kind(kind.name, tuple(_bound(one, bound) for one in kind.of), kind.schema)
