"""Decoding as the API server does it: the right JSON types, no unknown fields, values in their stored form.

:func:`check` reads an object as Go would read it into the struct of its kind. A value of the wrong type is refused in
the words of ``encoding/json``; a field that the kind does not have is dropped and reported, so that the caller can warn
or refuse (``fieldValidation``). Null is the same as leaving a field out. Quantities and times come out in their
canonical form.

It refuses to look at values beyond their form: ranges and combinations are validation.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from simkube.apimachinery import quantity
from simkube.apiserver.schema.golang import kind_of, quote, reflect_kind
from simkube.apiserver.schema.gotypes import GO_TYPES
from simkube.apiserver.schema.schema import GVK, Type, definitions

Obj = dict[str, Any]

MOST_PROBLEMS = 100
"""Unknown and duplicate fields beyond this many are not reported."""

_INTEGERS = {"int32": 1 << 31, "int64": 1 << 63}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)
_NEVER = "Go has no such value"


@dataclass(slots=True)
class StrictResult:
    """What decoding found.

    ``obj`` is the object without what its kind does not know. ``error`` is the first type mistake ("" when there is
    none): such an object is always refused (400). ``unknown`` and ``duplicates`` are texts like ``unknown field
    "spec.foo"``.
    """

    obj: Obj
    error: str = ""
    unknown: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)

    @property
    def errors(self) -> list[str]:
        """The type mistake, as a list of at most one."""
        return [self.error] if self.error else []

    @property
    def warnings(self) -> list[str]:
        """What ``fieldValidation=Warn`` warns about and ``Strict`` refuses: duplicates and unknown fields."""
        return [*self.duplicates, *self.unknown][:MOST_PROBLEMS]


def check(obj: Obj, gvk: GVK) -> StrictResult:
    """Decode ``obj`` as an object of the kind. ``obj`` is not changed; the result shares what needed no change."""
    known = definitions().of(gvk)
    return StrictResult(obj) if known is None else check_type(obj, known)


def check_type(obj: Obj, type: Type) -> StrictResult:
    """As :func:`check`, for a type that is no kind of its own (options, parts of objects)."""
    reader = _Reader()
    decoded = reader.struct(obj, type, "", "")
    return StrictResult(decoded, reader.error, reader.unknown)


def refusal(kind: str, version: str, problem: str, wanted: str = "") -> str:
    """The message of a 400: ``Deployment in version "v1" cannot be handled as a Deployment: PROBLEM``."""
    return f'{kind} in version "{version}" cannot be handled as a {wanted or kind}: {problem}'


def parse_json(raw: str | bytes) -> tuple[Any, list[str]]:
    """The JSON value, and ``duplicate field "data"`` for each member given twice (the last one counts).

    ``json.JSONDecodeError`` (a ValueError) when it is none; NaN and Infinity are none either. RecursionError is turned
    into a ValueError: a body nested a thousand deep is refused, not followed.
    """
    seen: list[bool] = []

    def members(pairs: list[tuple[str, Any]]) -> Any:
        made = dict(pairs)
        if len(made) != len(pairs):
            seen.append(True)
            return _Repeated(pairs)
        return made

    try:
        value = json.loads(raw, object_pairs_hook=members, parse_constant=_refuse_constant)
        if not seen:
            return value, []
        found: list[str] = []
        return _plain(value, "", found), found[:MOST_PROBLEMS]
    except RecursionError:
        raise ValueError("exceeded max depth") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")


class _Repeated:
    """A JSON object with a member given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


def _plain(value: Any, path: str, found: list[str]) -> Any:
    if isinstance(value, list):
        return [_plain(item, f"{path}[{index}]", found) for index, item in enumerate(value)]
    if not isinstance(value, (dict, _Repeated)):
        return value
    made: dict[str, Any] = {}
    for key, item in value.pairs if isinstance(value, _Repeated) else value.items():
        where = f"{path}.{key}" if path else key
        if key in made:
            found.append(f"duplicate field {quote(where)}")
        made[key] = _plain(item, where, found)
    return made


class _Reader:
    """One pass over one object. ``path`` is as unknown fields are reported (with indexes), ``place`` as Go reports a
    type mistake: the innermost struct, then field names only (``ContainerPort.spec.containers.ports``)."""

    def __init__(self) -> None:
        self.error = ""
        self.unknown: list[str] = []

    def struct(self, obj: Obj, type: Type, path: str, fields: str) -> Obj:
        changed: Obj | None = None
        for name, value in obj.items():
            known = type.fields.get(name)
            where = f"{path}.{name}" if path else name
            if known is None:
                if len(self.unknown) < MOST_PROBLEMS:
                    self.unknown.append(f"unknown field {quote(where)}")
                decoded = None
            elif value is None:
                decoded = None
            else:
                below = f"{fields}.{name}" if fields else name
                decoded = self.value(value, known.type, where, below, type.name, name)
            if decoded is not value or value is None:
                changed = dict(obj) if changed is None else changed
                if decoded is None:
                    del changed[name]
                else:
                    changed[name] = decoded
        return obj if changed is None else changed

    def value(self, value: Any, type: Type, path: str, fields: str, struct: str, name: str) -> Any:
        shape = type.shape
        if shape == "string":
            if value.__class__ is not str:
                self._mistake(value, _go(type, struct, name), struct, fields)
            return value
        if shape == "struct":
            if value.__class__ is dict:
                return self.struct(value, type, path, fields)
        elif shape == "map":
            if value.__class__ is dict:
                return self._map(value, type, path, fields, struct, name)
        elif shape == "list":
            if value.__class__ is list:
                return self._list(value, type, path, fields, struct, name)
        else:
            return self._scalar(value, type, struct, fields)
        self._mistake(value, _go(type, struct, name), struct, fields)
        return value

    def _map(self, value: Obj, type: Type, path: str, fields: str, struct: str, name: str) -> Obj:
        element = type.element
        assert element is not None, _NEVER
        if element.shape == "string":
            for item in value.values():
                if item.__class__ is not str:
                    break
            else:
                return value
        made = {}
        for key, item in value.items():
            given = _zero(element) if item is None else item
            made[key] = self.value(given, element, f"{path}.{key}", fields, struct, name)
        return value if all(made[key] is item for key, item in value.items()) else made

    def _list(self, value: list[Any], type: Type, path: str, fields: str, struct: str, name: str) -> list[Any]:
        element = type.element
        assert element is not None, _NEVER
        made = [
            self.value(_zero(element) if item is None else item, element, f"{path}[{at}]", fields, struct, name)
            for at, item in enumerate(value)
        ]
        return value if all(one is other for one, other in zip(made, value, strict=True)) else made

    def _scalar(self, value: Any, type: Type, struct: str, fields: str) -> Any:
        try:
            return _SCALARS[type.shape](value, type)
        except _WrongTypeError:
            go = "int32" if type.shape == "int-or-string" else type.go
            self._mistake(value, "string" if type.shape == "time" else go, struct, fields)
        except ValueError as error:
            self.error = self.error or str(error)
        return value

    def _mistake(self, value: Any, go: str, struct: str, fields: str) -> None:
        if not self.error:
            shown = kind_of(value)
            if shown == "number" and go in ("int32", "int64"):
                shown = f"number {value}"
            self.error = f"json: cannot unmarshal {shown} into Go struct field {struct}.{fields} of type {go}"


class _WrongTypeError(Exception):
    """A JSON value of another type than the field's."""


def _go(type: Type, struct: str, name: str) -> str:
    """The Go type, with the names that Go gives to some strings (``v1.PullPolicy``)."""
    named = GO_TYPES.get((struct, name))
    if named is None:
        return type.go
    return type.go.removesuffix("string") + named if type.go.endswith("string") else named


def _zero(type: Type) -> Any:
    """What Go makes of null where a value must be: in a list, or as a value of a map."""
    if type.shape in ("string", "bytes"):
        return ""
    if type.shape in ("integer", "number"):
        return 0
    if type.shape == "boolean":
        return False
    if type.shape == "quantity":
        return "0"
    return [] if type.shape == "list" else {}


def _integer(value: Any, type: Type) -> Any:
    if value.__class__ is not int or not -_INTEGERS[type.go] <= value < _INTEGERS[type.go]:
        raise _WrongTypeError
    return value


def _number(value: Any, _: Type) -> Any:
    if value.__class__ is not int and value.__class__ is not float:
        raise _WrongTypeError
    return value


def _boolean(value: Any, _: Type) -> Any:
    if value.__class__ is not bool:
        raise _WrongTypeError
    return value


def _int_or_string(value: Any, _: Type) -> Any:
    if value.__class__ is str:
        return value
    if value.__class__ is not int or not -_INTEGERS["int32"] <= value < _INTEGERS["int32"]:
        raise _WrongTypeError
    return value


def _quantity(value: Any, _: Type) -> Any:
    text = value if value.__class__ is str else json.dumps(value)
    stored = quantity.canonical(text.strip())
    return value if stored == value else stored


def _bytes(value: Any, _: Type) -> Any:
    if value.__class__ is not str:
        raise _WrongTypeError
    if _BASE64.fullmatch(value):
        return value
    text = value.replace("\n", "").replace("\r", "")
    if _BASE64.fullmatch(text):
        return text
    wrong = re.search(r"[^A-Za-z0-9+/\r\n]", value)
    at = wrong.start() if wrong else len(text) // 4 * 4
    raise ValueError(f"illegal base64 data at input byte {at}")


def _time(value: Any, type: Type) -> Any:
    if value.__class__ is not str:
        raise _WrongTypeError
    micro = type.go.endswith("MicroTime")
    layout = "2006-01-02T15:04:05.000000Z07:00" if micro else "2006-01-02T15:04:05Z07:00"
    try:
        if not _TIME.fullmatch(value):
            raise ValueError
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f'parsing time {quote(value)} as "{layout}": cannot parse {quote(value)} as "2006"') from None
    stored = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
    return value if stored == value else stored


_SCALARS: dict[str, Any] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "int-or-string": _int_or_string,
    "quantity": _quantity,
    "bytes": _bytes,
    "time": _time,
    "any": lambda value, _: value,
}


def converter_error(obj: Obj, gvk: GVK) -> str:
    """The first type mistake in the words of the converter that strategic merge patches go through; "" for none.

    ``cannot restore struct from: slice``, ``unrecognized type: int32`` (``runtime.DefaultUnstructuredConverter``).
    """
    known = definitions().of(gvk)
    return "" if known is None else _converter(obj, known)


def _converter(value: Any, type: Type) -> str:
    shape = type.shape
    if shape == "any" or value is None:
        return ""
    if shape == "struct":
        if not isinstance(value, dict):
            return f"cannot restore struct from: {reflect_kind(value)}"
        pairs = [(item, type.fields[key].type) for key, item in value.items() if key in type.fields]
    elif shape == "map" and type.element is not None:
        if not isinstance(value, dict):
            return f"cannot restore map from {reflect_kind(value)}"
        pairs = [(item, type.element) for item in value.values()]
    elif shape == "list" and type.element is not None:
        if not isinstance(value, list):
            return f"cannot restore slice from {reflect_kind(value)}"
        pairs = [(item, type.element) for item in value]
    else:
        return _converter_scalar(value, type)
    return next((problem for item, below in pairs if (problem := _converter(item, below))), "")


def _converter_scalar(value: Any, type: Type) -> str:
    try:
        if type.shape == "string":
            if not isinstance(value, str):
                raise _WrongTypeError
        else:
            _SCALARS[type.shape](value, type)
    except _WrongTypeError:
        kind, numbers = reflect_kind(value), ("int64", "float64")
        if kind in numbers and (type.shape in ("integer", "number") or (type.shape == "string" and kind == "int64")):
            return f"cannot convert {kind} to {type.go}"
        return f"unrecognized type: {'int32' if type.shape == 'int-or-string' else type.go}"
    except ValueError as error:
        return str(error)
    return ""
