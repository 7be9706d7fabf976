"""What ``jq`` does to values: access, comparison, arithmetic and its functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

Filter = Callable[[Any], Iterator[Any]]


class JqError(Exception):
    """A program that is wrong (exit 3), or that fails on its input (exit 5)."""

    def __init__(self, message: str, code: int = 5) -> None:
        super().__init__(message)
        self.code = code


MOST_WORK = 400_000
"""Results and parts of values that one program may come to, so that it never holds up the host."""


class Budget:
    """What a program may still do."""

    def __init__(self, left: int = MOST_WORK) -> None:
        self.left = left

    def spend(self, amount: int = 1) -> None:
        """Note work done; JqError when it is too much."""
        self.left -= amount
        if self.left < 0:
            raise JqError("more work than is simulated")

    def made(self, inner: Filter) -> Filter:
        """The same filter, whose results count by their size."""

        def call(value: Any) -> Iterator[Any]:
            for out in inner(value):
                self._weigh(out)
                yield out

        return call

    def _weigh(self, value: Any) -> None:
        pending = [value]
        while pending:
            one = pending.pop()
            self.spend(1 + len(one) // 16 if isinstance(one, str) else 1)
            if isinstance(one, list | dict):
                self.spend(len(one))
                pending.extend(one.values() if isinstance(one, dict) else one)


def few(first: Any, second: Any) -> None:
    """JqError when all of one with all of another would be too much."""
    if len(first) * len(second) > MOST_WORK:
        raise JqError("more work than is simulated")


CONSTANTS: dict[str, Any] = {"null": None, "true": True, "false": False}
_KINDS = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
_ORDER = ("null", "boolean", "number", "string", "array", "object")


def is_true(value: Any) -> bool:
    return value is not None and value is not False


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def member(name: str) -> Filter:
    return lambda value: iter([at(value, name)])


def at(value: Any, key: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, dict) and isinstance(key, str):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int):
        return value[key] if -len(value) <= key < len(value) else None
    what = f'"{key}"' if isinstance(key, str) else "number"
    raise JqError(f"Cannot index {_KINDS[type(value)]} with {what}")


def part(value: Any, first: Any, last: Any) -> Any:
    if value is None or isinstance(value, list | str):
        return None if value is None else value[first:last]
    raise JqError(f"Cannot index {_KINDS[type(value)]} with object")


def every(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        return iter(list(value.values()))
    if isinstance(value, list):
        return iter(value)
    raise JqError(f"Cannot iterate over {_KINDS[type(value)]}" + (" (null)" if value is None else ""))


def recursive(value: Any) -> Iterator[Any]:
    yield value
    for below in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from recursive(below)


def then(first: Filter, second: Filter) -> Filter:
    return lambda value: (out for middle in first(value) for out in second(middle))


def quiet(inner: Filter) -> Filter:
    def call(value: Any) -> Iterator[Any]:
        try:
            yield from inner(value)
        except JqError:
            return

    return call


def objects(value: Any, pairs: list[tuple[Filter, Filter]]) -> Iterator[Any]:
    if not pairs:
        yield {}
        return
    (key, content_of), rest = pairs[0], pairs[1:]
    for name in key(value):
        for one in content_of(value):
            for others in objects(value, rest):
                yield {text_of(name): one, **others}


def combined(operator: str, left: Filter, right: Filter) -> Filter:
    if operator == "//":
        return lambda value: iter([out for out in quiet(left)(value) if is_true(out)] or list(right(value)))
    if operator in ("and", "or"):
        stop = operator == "or"
        return lambda value: (
            stop if is_true(first) == stop else is_true(second)
            for first in left(value)
            for second in ([None] if is_true(first) == stop else right(value))
        )
    return lambda value: (_operate(operator, first, second) for second in right(value) for first in left(value))


def _rank(value: Any) -> tuple[int, Any]:
    kind = _ORDER.index(_KINDS[type(value)])
    return (kind, value if kind in (1, 2, 3) else [_rank(one) for one in value] if kind == 4 else text_of(value))


def _operate(operator: str, first: Any, second: Any) -> Any:
    if operator in ("==", "!="):
        return (first == second) == (operator == "==")
    if operator in ("<", "<=", ">", ">="):
        one, two = _rank(first), _rank(second)
        return {"<": one < two, "<=": one <= two, ">": one > two, ">=": one >= two}[operator]
    if operator == "+" and (first is None or second is None):
        return second if first is None else first
    same = type(first) is type(second)
    if operator == "+" and same and isinstance(first, str | list):
        return first + second
    if operator == "+" and same and isinstance(first, dict):
        return {**first, **second}
    if operator == "-" and same and isinstance(first, list):
        few(first, second)
        return [one for one in first if one not in second]
    if isinstance(first, int | float) and isinstance(second, int | float):
        return _calculate(operator, first, second)
    raise JqError(f"{_KINDS[type(first)]} and {_KINDS[type(second)]} cannot be combined with {operator}")


def _calculate(operator: str, first: float, second: float) -> float:
    if operator in "/%" and second == 0:
        raise JqError(f"{first} and {second} cannot be divided because the divisor is zero")
    if operator in "+-*":
        result = first + second if operator == "+" else first - second if operator == "-" else first * second
    else:
        result = first / second if operator == "/" else int(first) % int(second)
    return int(result) if isinstance(result, float) and result.is_integer() and abs(result) < 1e15 else result


def applied(name: str, call: Callable[[Any], Any], value: Any) -> Any:
    try:
        return call(value)
    except JqError:
        raise
    except (TypeError, ValueError, AttributeError, KeyError):
        raise JqError(f"{_KINDS[type(value)]} ({text_of(value)[:40]}) has no {name}") from None


def _entries(value: Any) -> Any:
    return [{"key": key, "value": one} for key, one in value.items()]


def _from_entries(value: Any) -> Any:
    return {text_of(one.get("key", one.get("name"))): one.get("value") for one in value}


def _add(value: Any) -> Any:
    values = list(every(value))
    if values and all(isinstance(one, str) for one in values):
        return "".join(values)
    if values and all(isinstance(one, list) for one in values):
        return [each for one in values for each in one]
    total = None
    for one in values:
        total = _operate("+", total, one)
    return total


def _contains(value: Any, given: Any) -> bool:
    if isinstance(given, list):
        few(value, given)
        return all(one in value for one in given)
    return bool(given in value)


def _join(value: Any, given: Any) -> str:
    few(value, given)
    return str(given.join("" if one is None else text_of(one) for one in value))


def _number(value: Any) -> Any:
    return value if not isinstance(value, str) else float(value) if "." in value else int(value)


SIMPLE: dict[str, Callable[[Any], Any]] = {
    "add": _add,
    "any": lambda value: any(is_true(one) for one in value),
    "all": lambda value: all(is_true(one) for one in value),
    "ascii_downcase": lambda value: value.lower(),
    "ascii_upcase": lambda value: value.upper(),
    "first": lambda value: at(value, 0),
    "floor": lambda value: int(value // 1),
    "fromjson": json.loads,
    "from_entries": _from_entries,
    "keys": lambda value: sorted(value) if isinstance(value, dict) else list(range(len(value))),
    "last": lambda value: at(value, -1),
    "length": lambda value: 0 if value is None else abs(value) if isinstance(value, int | float) else len(value),
    "max": lambda value: max(value, key=_rank) if value else None,
    "min": lambda value: min(value, key=_rank) if value else None,
    "not": lambda value: not is_true(value),
    "reverse": lambda value: value[::-1],
    "sort": lambda value: sorted(value, key=_rank),
    "to_entries": _entries,
    "tojson": lambda value: json.dumps(value, separators=(",", ":")),
    "tonumber": _number,
    "tostring": text_of,
    "type": lambda value: _KINDS[type(value)],
    "unique": lambda value: sorted({text_of(one): one for one in value}.values(), key=_rank),
    "values": lambda value: value,
}


def _select(value: Any, test: Filter) -> Iterator[Any]:
    return (value for out in test(value) if is_true(out))


def _map(value: Any, inner: Filter) -> Iterator[Any]:
    yield [out for one in every(value) for out in inner(one)]


def _sort_by(value: Any, key: Filter) -> Iterator[Any]:
    yield sorted(value, key=lambda one: _rank(list(key(one))))


def _group_by(value: Any, key: Filter) -> Iterator[Any]:
    groups: dict[str, list[Any]] = {}
    for one in sorted(value, key=lambda each: _rank(list(key(each)))):
        groups.setdefault(text_of(list(key(one))), []).append(one)
    yield list(groups.values())


def _has(value: Any, key: Filter) -> Iterator[Any]:
    return (
        name in value if isinstance(value, dict) else isinstance(name, int) and 0 <= name < len(value)
        for name in key(value)
    )


def _swapped(call: Callable[[Any, Any], Any], given: Any, value: Any) -> Any:
    return call(value, given)


def _of_text(call: Callable[[Any, Any], Any]) -> Callable[[Any, Filter], Iterator[Any]]:
    return lambda value, argument: (applied("that", partial(_swapped, call, given), value) for given in argument(value))


WITH_FILTER: dict[str, Callable[[Any, Filter], Iterator[Any]]] = {
    "contains": _of_text(_contains),
    "endswith": _of_text(lambda value, given: value.endswith(given)),
    "group_by": _group_by,
    "has": _has,
    "join": _of_text(_join),
    "map": _map,
    "select": _select,
    "sort_by": _sort_by,
    "split": _of_text(lambda value, given: value.split(given)),
    "startswith": _of_text(lambda value, given: value.startswith(given)),
    "with_entries": lambda value, inner: (_from_entries(out) for out in _map(_entries(value), inner)),
}
