"""The functions and operators of expressions: for which types there are, and what they do.

After the CEL specification's standard definitions, cel-go's ``ext/strings`` and Kubernetes' list and regex libraries.
:data:`ELSEWHERE` names those that are not here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

from simkube.apiserver.cel import times
from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.syntax import UInt
from simkube.apiserver.cel.types import Kind, list_of, map_of
from simkube.apiserver.schema.custom.patterns import PatternError, compiled, found_in

A, B = Kind("A"), Kind("B")
Overload = tuple[bool, tuple[Kind, ...], Kind]
"""(whether it is called on its first argument, types of the arguments, type of the result)"""
Function = Callable[..., Any]

ELSEWHERE = frozenset(
    (
        "format",
        "quote",
        "url",
        "isURL",
        "getScheme",
        "getHost",
        "getHostname",
        "getPort",
        "getEscapedPath",
        "getQuery",
        "ip",
        "isIP",
        "ip.isCanonical",
        "family",
        "isUnspecified",
        "isLoopback",
        "isGlobalUnicast",
        "isLinkLocalUnicast",
        "isLinkLocalMulticast",
        "cidr",
        "isCIDR",
        "containsIP",
        "containsCIDR",
        "masked",
        "prefixLength",
        "quantity",
        "isQuantity",
        "isInteger",
        "asInteger",
        "asApproximateFloat",
        "sign",
        "add",
        "sub",
        "isGreaterThan",
        "isLessThan",
        "compareTo",
        "semver",
        "isSemver",
        "major",
        "minor",
        "patch",
        "orValue",
        "hasValue",
        "optMap",
        "optFlatMap",
        "value",
        "transformList",
        "transformMap",
        "transformMapEntry",
        "authorizer",
        "path",
        "check",
        "allowed",
        "reason",
        "errored",
        "validate",
        "named",
        "reverse",
        "flatten",
        "slice",
        "distinct",
        "sort",
        "sortBy",
        "range",
        "first",
        "last",
    )
)
"""What CEL in Kubernetes has beyond this."""
NAMESPACES = frozenset({"sets", "math", "cel", "optional", "base64", "strings", "lists", "authorizer"})

INT_RANGE = 1 << 63


class EvaluationError(Exception):
    """An expression that has no value for what it was given; the message is cel-go's."""


def whole(value: int) -> int:
    """An int, or an error when it is beyond 64 bits."""
    if not -INT_RANGE <= value < INT_RANGE:
        raise EvaluationError("integer overflow")
    return value


def _unsigned(value: int) -> UInt:
    if not 0 <= value < 2 * INT_RANGE:
        raise EvaluationError("unsigned integer overflow")
    return UInt(value)


def _number(one: Any, other: Any, ints: Callable[[int, int], int], floats: Callable[[float, float], float]) -> Any:
    if isinstance(one, UInt):
        return _unsigned(ints(one, other))
    if one.__class__ is int:
        return whole(ints(one, other))
    return floats(one, other)


def add(one: Any, other: Any) -> Any:
    """``+``."""
    if isinstance(one, times.Duration) and isinstance(other, datetime):
        return times.moved(other, one)
    if isinstance(one, datetime):
        return times.moved(one, other)
    if isinstance(one, times.Duration):
        return times.Duration(times.bounded(one + other))
    if isinstance(one, (str, bytes)):
        return one + other
    if isinstance(one, list):
        return one.joined(other) if isinstance(one, AssociativeList) else [*one, *other]
    return _number(one, other, lambda a, b: int(a) + int(b), lambda a, b: a + b)


def subtract(one: Any, other: Any) -> Any:
    """``-`` of two."""
    if isinstance(one, datetime):
        return times.between(other, one) if isinstance(other, datetime) else times.moved(one, times.Duration(-other))
    if isinstance(one, times.Duration):
        return times.Duration(times.bounded(one - other))
    return _number(one, other, lambda a, b: int(a) - int(b), lambda a, b: a - b)


def multiply(one: Any, other: Any) -> Any:
    """``*``."""
    return _number(one, other, lambda a, b: int(a) * int(b), lambda a, b: a * b)


def divide(one: Any, other: Any) -> Any:
    """``/``: towards zero."""
    if isinstance(one, float):
        return one / other if other else (math.nan if not one else math.copysign(math.inf, one))
    if not other:
        raise EvaluationError("division by zero")
    return _number(one, other, lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1), lambda a, b: a / b)


def remainder(one: Any, other: Any) -> Any:
    """``%``: with the sign of the first."""
    if not other:
        raise EvaluationError("modulus by zero")
    return _number(one, other, lambda a, b: abs(a) % abs(b) * (-1 if a < 0 else 1), math.fmod)


def negate(one: Any) -> Any:
    """``-`` of one."""
    return whole(-one) if one.__class__ is int else -one


def equal(one: Any, other: Any) -> bool:
    """``==``: numbers by value, sets without order, different types never."""
    if _is_number(one) and _is_number(other):
        return bool(one == other)
    if isinstance(one, AssociativeList) and isinstance(other, list):
        return one.same(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(equal(left, right) for left, right in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(item, other[key]) for key, item in one.items())
    return one.__class__ is other.__class__ and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, (bool, times.Duration))


def _ordered(test: Callable[[Any, Any], bool]) -> Function:
    def compare(one: Any, other: Any) -> bool:
        alike = one.__class__ is other.__class__ and isinstance(one, (str, bytes, bool, datetime, times.Duration))
        if not alike and not (_is_number(one) and _is_number(other)):
            raise EvaluationError("no such overload")
        return test(one, other)

    return compare


def contained(item: Any, where: Any) -> bool:
    """``in``."""
    if isinstance(where, dict):
        return _hashable(item) and item in where
    return any(equal(item, one) for one in where)


def _hashable(item: Any) -> bool:
    return isinstance(item, (str, int, float, bool))


def index(where: Any, key: Any) -> Any:
    """``[]``."""
    if isinstance(where, dict):
        if not _hashable(key) or key not in where:
            raise EvaluationError(f"no such key: {key}")
        return where[key]
    if not isinstance(where, list):
        raise EvaluationError("no such overload")
    if isinstance(key, float) and key.is_integer():
        key = int(key)
    if not isinstance(key, int) or isinstance(key, bool) or not 0 <= key < len(where):
        raise EvaluationError(f"index out of bounds: {key}")
    return where[key]


class AssociativeList(list[Any]):
    """A list that is a set, or a map by ``keys``: equal without regard to order, joined by element."""

    def __init__(self, items: Any, keys: tuple[str, ...]) -> None:
        super().__init__(items)
        self.keys = keys

    def _key(self, item: Any) -> Any:
        if not self.keys:
            return repr(item)
        return repr([item.get(key) for key in self.keys]) if isinstance(item, dict) else repr(item)

    def same(self, other: list[Any]) -> bool:
        """Whether both have the same elements."""
        if len(self) != len(other):
            return False
        theirs = {self._key(item): item for item in other}
        return all(self._key(item) in theirs and equal(item, theirs[self._key(item)]) for item in self)

    def joined(self, other: list[Any]) -> AssociativeList:
        """Elements of both; of those in both the other's."""
        made = {self._key(item): item for item in (*self, *other)}
        return AssociativeList(made.values(), self.keys)


# conversions


def to_int(value: Any) -> int:
    """``int(x)``."""
    if isinstance(value, datetime):
        return math.floor(value.timestamp())
    if isinstance(value, times.Duration):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EvaluationError("integer overflow")
        return whole(math.trunc(value))
    try:
        return whole(int(value) if not isinstance(value, str) or value.isascii() else int(""))
    except ValueError:
        raise EvaluationError(f'strconv.ParseInt: parsing "{value}": invalid syntax') from None


def _to_uint(value: Any) -> UInt:
    if isinstance(value, float) and not math.isfinite(value):
        raise EvaluationError("unsigned integer overflow")
    try:
        return _unsigned(int(value))
    except ValueError:
        raise EvaluationError(f'strconv.ParseUint: parsing "{value}": invalid syntax') from None


def _to_double(value: Any) -> float:
    try:
        return float(value)
    except ValueError:
        raise EvaluationError(f'strconv.ParseFloat: parsing "{value}": invalid syntax') from None


def to_string(value: Any) -> str:
    """``string(x)``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, times.Duration):
        return f"{times.seconds_text(value)}s"
    if isinstance(value, datetime):
        return times.text(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value)


def _to_bool(value: Any) -> bool:
    known = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
    if isinstance(value, bool):
        return value
    found = known.get(value.lower() if value in ("TRUE", "True", "T", "FALSE", "False", "F") else value)
    if found is None:
        raise EvaluationError(f'strconv.ParseBool: parsing "{value}": invalid syntax')
    return found


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


# strings and lists


def _position(at: int, size: int) -> int:
    if not 0 <= at <= size:
        raise EvaluationError(f"index out of range: {at}")
    return at


def _char(text: str, at: int) -> str:
    return text[_position(at, len(text)) :][:1]


def _index_of(where: Any, what: Any, start: int = 0) -> int:
    if isinstance(where, list):
        return next((at for at, item in enumerate(where) if equal(item, what)), -1)
    return where.find(what, _position(start, len(where)))  # type: ignore[no-any-return]  # a string: it was checked


def _last_index_of(where: Any, what: Any, end: int | None = None) -> int:
    if isinstance(where, list):
        return next((at for at in range(len(where) - 1, -1, -1) if equal(where[at], what)), -1)
    if end is None:
        return where.rfind(what)  # type: ignore[no-any-return]  # a string: it was checked
    return where.rfind(what, 0, _position(end, len(where)) + len(what))  # type: ignore[no-any-return]  # as above


def _replace(text: str, old: str, new: str, most: int = -1) -> str:
    if len(new) * (text.count(old) if old else len(text) + 1) > 1_000_000:
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


def _ascii(text: str, *, lower: bool) -> str:
    low, high = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return text.translate(str.maketrans(high, low) if lower else str.maketrans(low, high))


def _join(parts: list[str], by: str = "") -> str:
    return by.join(parts)


def _extreme(items: list[Any], name: str) -> Any:
    if not items:
        raise EvaluationError(f"{name} called on empty list")
    return min(items) if name == "min" else max(items)


def _sum(items: list[Any]) -> Any:
    total: Any = items[0] if items else 0
    for item in items[1:]:
        total = add(total, item)
    return total


_TYPES = {
    bool: "bool",
    int: "int",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    type(None): "null_type",
}


def type_name(value: Any) -> Kind:
    """``type(x)``."""
    if isinstance(value, UInt):
        return t.UINT
    if isinstance(value, datetime):
        return t.TIMESTAMP
    if isinstance(value, times.Duration):
        return t.DURATION
    if isinstance(value, list):
        return Kind("list")
    return t.TYPE if isinstance(value, Kind) else Kind(_TYPES[value.__class__])


def _overloads() -> dict[str, list[Overload]]:
    numbers = (t.INT, t.UINT, t.DOUBLE)
    strings, lists, maps = t.STRING, list_of(A), map_of(A, B)
    found: dict[str, list[Overload]] = {
        f"_{sign}_": [(False, (one, one), one) for one in numbers] for sign in ("+", "-", "*", "/")
    }
    found["_%_"] = [(False, (one, one), one) for one in numbers[:2]]
    found["_+_"] += [(False, (one, one), one) for one in (t.STRING, t.BYTES, lists, t.DURATION)]
    found["_+_"] += [(False, (t.TIMESTAMP, t.DURATION), t.TIMESTAMP), (False, (t.DURATION, t.TIMESTAMP), t.TIMESTAMP)]
    found["_-_"] += [
        (False, (t.TIMESTAMP, t.TIMESTAMP), t.DURATION),
        (False, (t.TIMESTAMP, t.DURATION), t.TIMESTAMP),
        (False, (t.DURATION, t.DURATION), t.DURATION),
    ]
    found["-_"] = [(False, (one,), one) for one in (t.INT, t.DOUBLE)]
    found["!_"] = [(False, (t.BOOL,), t.BOOL)]
    found["_==_"] = found["_!=_"] = [(False, (A, A), t.BOOL)]
    for sign in ("<", "<=", ">", ">="):
        ordered = (t.BOOL, *numbers, t.STRING, t.BYTES, t.TIMESTAMP, t.DURATION)
        found[f"_{sign}_"] = [(False, (one, one), t.BOOL) for one in ordered]
    found["_&&_"] = found["_||_"] = [(False, (t.BOOL, t.BOOL), t.BOOL)]
    found["_?_:_"] = [(False, (t.BOOL, A, A), A)]
    found["@in"] = [(False, (A, lists), t.BOOL), (False, (A, maps), t.BOOL)]
    found["_[_]"] = [(False, (lists, t.INT), A), (False, (maps, A), B)]
    found["size"] = [(method, (one,), t.INT) for method in (False, True) for one in (strings, t.BYTES, lists, maps)]
    for name in ("contains", "startsWith", "endsWith"):
        found[name] = [(True, (strings, strings), t.BOOL)]
    found["matches"] = [(method, (strings, strings), t.BOOL) for method in (True, False)]
    found["int"] = [(False, (one,), t.INT) for one in (*numbers, strings, t.TIMESTAMP, t.DURATION)]
    found["uint"] = [(False, (one,), t.UINT) for one in (*numbers, strings)]
    found["double"] = [(False, (one,), t.DOUBLE) for one in (*numbers, strings)]
    found["string"] = [
        (False, (one,), strings) for one in (*numbers, t.BOOL, strings, t.BYTES, t.TIMESTAMP, t.DURATION)
    ]
    found["bool"] = [(False, (one,), t.BOOL) for one in (t.BOOL, strings)]
    found["bytes"] = [(False, (one,), t.BYTES) for one in (t.BYTES, strings)]
    found["timestamp"] = [(False, (one,), t.TIMESTAMP) for one in (strings, t.TIMESTAMP, t.INT)]
    found["duration"] = [(False, (one,), t.DURATION) for one in (strings, t.DURATION)]
    found["dyn"], found["type"] = [(False, (A,), t.DYN)], [(False, (A,), t.TYPE)]
    for name in times.PARTS:
        found[name] = [(True, (t.TIMESTAMP,), t.INT)]
    for name in times.DURATION_PARTS:
        found[name].append((True, (t.DURATION,), t.INT))
    return found | _more_overloads(strings, lists)


def _more_overloads(strings: Kind, lists: Kind) -> dict[str, list[Overload]]:
    texts = list_of(strings)
    return {
        "charAt": [(True, (strings, t.INT), strings)],
        "indexOf": [
            (True, (strings, strings), t.INT),
            (True, (strings, strings, t.INT), t.INT),
            (True, (lists, A), t.INT),
        ],
        "lastIndexOf": [
            (True, (strings, strings), t.INT),
            (True, (strings, strings, t.INT), t.INT),
            (True, (lists, A), t.INT),
        ],
        "lowerAscii": [(True, (strings,), strings)],
        "upperAscii": [(True, (strings,), strings)],
        "trim": [(True, (strings,), strings)],
        "replace": [(True, (strings, strings, strings), strings), (True, (strings, strings, strings, t.INT), strings)],
        "split": [(True, (strings, strings), texts), (True, (strings, strings, t.INT), texts)],
        "substring": [(True, (strings, t.INT), strings), (True, (strings, t.INT, t.INT), strings)],
        "join": [(True, (texts,), strings), (True, (texts, strings), strings)],
        "find": [(True, (strings, strings), strings)],
        "findAll": [(True, (strings, strings), texts), (True, (strings, strings, t.INT), texts)],
        "isSorted": [(True, (lists,), t.BOOL)],
        "sum": [(True, (list_of(one),), one) for one in (t.INT, t.UINT, t.DOUBLE, t.DURATION)],
        "min": [(True, (lists,), A)],
        "max": [(True, (lists,), A)],
    }


OVERLOADS = _overloads()

FUNCTIONS: dict[str, Function] = {
    "_+_": add,
    "_-_": subtract,
    "_*_": multiply,
    "_/_": divide,
    "_%_": remainder,
    "-_": negate,
    "_==_": equal,
    "_!=_": lambda one, other: not equal(one, other),
    "_<_": _ordered(lambda one, other: one < other),
    "_<=_": _ordered(lambda one, other: one <= other),
    "_>_": _ordered(lambda one, other: one > other),
    "_>=_": _ordered(lambda one, other: one >= other),
    "@in": contained,
    "_[_]": index,
    "size": len,
    "contains": lambda text, part: part in text,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "matches": _matches,
    "int": to_int,
    "uint": _to_uint,
    "double": _to_double,
    "string": to_string,
    "bool": _to_bool,
    "bytes": lambda value: value if isinstance(value, bytes) else value.encode(),
    "timestamp": times.timestamp,
    "duration": times.duration,
    "dyn": lambda value: value,
    "type": type_name,
    "charAt": _char,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "lowerAscii": lambda text: _ascii(text, lower=True),
    "upperAscii": lambda text: _ascii(text, lower=False),
    "trim": str.strip,
    "replace": _replace,
    "split": _split,
    "substring": _substring,
    "join": _join,
    "find": _find,
    "findAll": _find_all,
    "isSorted": lambda items: all(not one > other for one, other in pairwise(items)),
    "sum": _sum,
    "min": lambda items: _extreme(items, "min"),
    "max": lambda items: _extreme(items, "max"),
    **times.READERS,
}
