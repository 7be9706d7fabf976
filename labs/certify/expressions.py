"""The language of requirements: expressions over what is in a cluster, written as Python writes them.

``deployment("web").replicas == 3 and all(p.ready for p in deployment("web").pods)``. There are comparisons, ``and``,
``or``, ``not``, ``in``, ``all(... for ...)``, ``any``, lists, attributes and the functions it is given, and nothing
else; it is walked, never run. Three rules make it short to write:

- what is not there is ``None``, and so is every part of it; it is neither smaller nor larger than anything;
- an object's fields are its attributes: ``object("ConfigMap", "web").data.greeting``;
- what is unknown stays unknown, unless the rest decides by itself.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from labs.certify.unknown import UNKNOWN, Truth, Unknown, every, negation, some, truth
from labs.errors import KindlingError
from labs.syntax import parse

LIMIT = 2000
"""Characters that an expression may have."""


class BadExpression(KindlingError):
    """A requirement that says nothing: not of this language, or of names that are not there."""


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """What is not there, or is of another kind, is neither smaller nor larger."""

    def both(left: Any, right: Any) -> bool:
        try:
            return compare(left, right)
        except TypeError:
            return False

    return both


def _within(item: Any, container: Any) -> Truth:
    if container is None:
        return False
    if isinstance(container, str | Mapping):
        return _ordered(lambda a, b: a in b)(item, container)
    return some(UNKNOWN if isinstance(one, Unknown) else one == item for one in container)


_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: _ordered(operator.lt),
    ast.LtE: _ordered(operator.le),
    ast.Gt: _ordered(operator.gt),
    ast.GtE: _ordered(operator.ge),
    ast.In: _within,
    ast.NotIn: lambda item, container: negation(_within(item, container)),
}
_SUMS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}


class Expression:
    """One requirement. ``text`` is as its author wrote it; :class:`BadExpression` when it is not of the language."""

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > LIMIT:
            raise BadExpression(f"a requirement has at most {LIMIT} characters: {text[:60]}...")
        try:
            self._tree = parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise BadExpression(f"{text!r} is no expression: {error}") from error

    def holds(self, names: Mapping[str, Any]) -> Truth:
        """Whether it is so, with these names; :class:`BadExpression` when it makes no sense of them."""
        try:
            return truth(_Walk(names).value(self._tree))
        except BadExpression:
            raise
        except Exception as error:
            raise BadExpression(f"{self.text!r}: {type(error).__name__}: {error}") from error

    @property
    def names(self) -> set[str]:
        """The names that it uses and does not define itself: those of functions."""
        bound = {
            node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        used = {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)}
        return used - bound - set(FUNCTIONS)


class _Walk:
    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = {**FUNCTIONS, **names}

    def value(self, node: ast.expr) -> Any:
        how = getattr(self, f"_{type(node).__name__.lower()}", None)
        if how is None:
            raise BadExpression(f"a requirement has no {type(node).__name__}: {ast.unparse(node)}")
        return how(node)

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id not in self._names:
            raise BadExpression(f"there is no {node.id}; there are: {', '.join(sorted(self._names))}")
        return self._names[node.id]

    def _list(self, node: ast.List | ast.Tuple | ast.Set) -> Any:
        return [self.value(item) for item in node.elts]

    _tuple = _set = _list

    def _attribute(self, node: ast.Attribute) -> Any:
        value = self.value(node.value)
        if value is None or isinstance(value, Unknown):
            return value
        if isinstance(value, Mapping):
            return value.get(node.attr)
        if node.attr.startswith("_") or not hasattr(type(value), "__dataclass_fields__"):
            raise BadExpression(f"{ast.unparse(node.value)} has no {node.attr}")
        if not hasattr(value, node.attr):
            raise BadExpression(f"a {type(value).__name__.lower()} has no {node.attr}")
        return getattr(value, node.attr)

    def _subscript(self, node: ast.Subscript) -> Any:
        value, key = self.value(node.value), self.value(node.slice)
        if isinstance(value, Unknown) or isinstance(key, Unknown):
            return UNKNOWN
        try:
            return value[key]
        except (LookupError, TypeError):
            return None

    def _call(self, node: ast.Call) -> Any:
        function = self.value(node.func)
        if function is None or isinstance(function, Unknown):
            return function
        if not callable(function):
            raise BadExpression(f"{ast.unparse(node.func)} is no function")
        arguments = [self.value(argument) for argument in node.args]
        words = {word.arg: self.value(word.value) for word in node.keywords if word.arg}
        if any(isinstance(one, Unknown) for one in (*arguments, *words.values())):
            return UNKNOWN
        return function(*arguments, **words)

    def _compare(self, node: ast.Compare) -> Any:
        values = [self.value(one) for one in (node.left, *node.comparators)]
        pairs = zip(node.ops, values, values[1:], strict=False)
        return every(_compared(_COMPARISONS.get(type(op)), left, right) for op, left, right in pairs)

    def _boolop(self, node: ast.BoolOp) -> Any:
        values = (self.value(one) for one in node.values)
        return every(values) if isinstance(node.op, ast.And) else some(values)

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        value = self.value(node.operand)
        if isinstance(node.op, ast.Not):
            return negation(truth(value))
        if isinstance(node.op, ast.USub):
            return value if value is None or isinstance(value, Unknown) else -value
        raise BadExpression(f"a requirement has no {ast.unparse(node)}")

    def _binop(self, node: ast.BinOp) -> Any:
        how, left, right = _SUMS.get(type(node.op)), self.value(node.left), self.value(node.right)
        if how is None:
            raise BadExpression(f"a requirement has no {ast.unparse(node)}")
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return UNKNOWN
        return None if left is None or right is None else how(left, right)

    def _ifexp(self, node: ast.IfExp) -> Any:
        test = truth(self.value(node.test))
        return UNKNOWN if isinstance(test, Unknown) else self.value(node.body if test else node.orelse)

    def _generatorexp(self, node: ast.GeneratorExp | ast.ListComp | ast.SetComp) -> Any:
        return list(self._each(node.elt, node.generators))

    _listcomp = _setcomp = _generatorexp

    def _each(self, element: ast.expr, generators: list[ast.comprehension]) -> Iterator[Any]:
        """The element for each item; unknown for an item, or a whole list, that may or may not be there."""
        if not generators:
            yield self.value(element)
            return
        each, *more = generators
        if not isinstance(each.target, ast.Name):
            raise BadExpression(f"a requirement names one item at a time, not {ast.unparse(each.target)}")
        items = self.value(each.iter)
        if isinstance(items, Unknown):
            yield UNKNOWN
            return
        for item in items or []:
            inside = _Walk({**self._names, each.target.id: item})
            wanted = every(inside.value(test) for test in each.ifs)
            if isinstance(wanted, Unknown):
                yield UNKNOWN
            elif wanted:
                yield from inside._each(element, more)


def _compared(how: Callable[[Any, Any], Any] | None, left: Any, right: Any) -> Any:
    if how is None:
        raise BadExpression("a requirement compares with ==, !=, <, <=, >, >=, in, not in")
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return UNKNOWN
    return how(left, right)


def _of(function: Callable[[list[Any]], Any]) -> Callable[[Any], Any]:
    """A function of a list: None of none, unknown when one of them is."""

    def of(items: Any) -> Any:
        listed = list(items or [])
        return UNKNOWN if any(isinstance(one, Unknown) for one in listed) else function(listed)

    return of


def _of_numbers(function: Callable[[list[Any]], Any]) -> Callable[[Any], Any]:
    """As :func:`_of`, and None when one of them is not there."""
    return _of(lambda items: None if any(one is None for one in items) else function(items))


def number(text: Any) -> float | None:
    """The number that a text is; None of anything else."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def at_least(value: Any, surely: float, possibly: float) -> Truth:
    """True from ``surely`` on, false below ``possibly``, unknown between: what luck may decide."""
    if value is None or value < possibly:
        return False
    return True if value >= surely else UNKNOWN


def at_most(value: Any, surely: float, possibly: float) -> Truth:
    """True up to ``surely``, false above ``possibly``, unknown between."""
    if value is None or value > possibly:
        return False
    return True if value <= surely else UNKNOWN


FUNCTIONS: dict[str, Any] = {
    "all": lambda items: every(items or []),
    "any": lambda items: some(items or []),
    "len": _of(len),
    "set": _of(frozenset),
    "min": _of_numbers(lambda items: min(items, default=None)),
    "max": _of_numbers(lambda items: max(items, default=None)),
    "sum": _of_numbers(sum),
    "number": number,
    "at_least": at_least,
    "at_most": at_most,
    "unknown": UNKNOWN,
}
