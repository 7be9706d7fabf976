"""What values are beyond Python's own: optional values, lists that are sets or maps, and when two are equal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.syntax import UInt
from simkube.apiserver.cel.times import Duration
from simkube.apiserver.cel.types import Kind

INT_RANGE = 1 << 63


@dataclass(frozen=True, slots=True)
class Optional:
    """A value that may be missing: ``items`` holds it, or nothing."""

    items: tuple[Any, ...] = ()

    @property
    def there(self) -> bool:
        """Whether there is one."""
        return bool(self.items)


NONE = Optional()


def whole(value: int) -> int:
    """An int, or an error when it is beyond 64 bits."""
    if not -INT_RANGE <= value < INT_RANGE:
        raise EvaluationError("integer overflow")
    return value


def unsigned(value: int) -> UInt:
    """An unsigned int, or an error when it is none."""
    if not 0 <= value < 2 * INT_RANGE:
        raise EvaluationError("unsigned integer overflow")
    return UInt(value)


def is_number(value: Any) -> bool:
    """Whether values are compared with it as numbers."""
    return isinstance(value, (int, float)) and not isinstance(value, (bool, Duration))


def equal(one: Any, other: Any) -> bool:
    """``==``: numbers by value, sets without order, different types never."""
    if is_number(one) and is_number(other):
        return bool(one == other)
    if isinstance(one, AssociativeList) and isinstance(other, list):
        return one.same(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(equal(left, right) for left, right in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(item, other[key]) for key, item in one.items())
    if isinstance(one, Optional) and isinstance(other, Optional):
        return equal(list(one.items), list(other.items))
    return one.__class__ is other.__class__ and bool(one == other)


def key_of(value: Any) -> Any:
    """What two values have in common exactly when they are :func:`equal` and neither is a set; it can be hashed."""
    if is_number(value):
        return ("number", value)
    if isinstance(value, list):
        return ("list", tuple(key_of(item) for item in value))
    if isinstance(value, dict):
        return ("map", frozenset((key_of(key), key_of(item)) for key, item in value.items()))
    if isinstance(value, Optional):
        return ("optional", tuple(key_of(item) for item in value.items))
    return (value.__class__, value)


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
    if isinstance(value, Duration):
        return t.DURATION
    if isinstance(value, list):
        return Kind("list")
    if isinstance(value, Optional):
        return Kind(t.OPTIONAL)
    if isinstance(value, Kind):
        return t.TYPE
    own: Kind | None = getattr(value.__class__, "kind", None)
    return own if own is not None else Kind(_TYPES[value.__class__])
