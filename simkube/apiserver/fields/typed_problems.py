"""Whether an object that is applied fits the schema of its kind, in the words of structured-merge-diff.

It refuses, with :class:`TypedError`, fields that are not declared, values of another type, and list elements that
cannot be told apart. Whether values make sense is validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simkube.apiserver.fields.fieldset import show
from simkube.apiserver.fields.typed import child_type, element_of
from simkube.apiserver.schema.schema import ANY, Type

Map = dict[str, Any]


class TypedError(Exception):
    """An object that does not fit its schema; the message is structured-merge-diff's."""


def validate(obj: Map, type: Type) -> None:
    """TypedError unless every field is declared, of its type, and every list element distinct."""
    problems = list(_problems(obj, type, ""))
    if len(problems) == 1:
        raise TypedError(problems[0])
    if problems:
        raise TypedError("\n".join(["errors:", *(f"  {problem}" for problem in problems)]))


_EXPECTED = {
    "string": ((str,), "string"),
    "time": ((str,), "string"),
    "bytes": ((str,), "string"),
    "integer": ((int, float), "numeric (int or float)"),
    "number": ((int, float), "numeric (int or float)"),
    "boolean": ((bool,), "boolean"),
}


def _problems(value: Any, type: Type, path: str) -> Iterator[str]:
    shape = type.shape
    if value is None or shape in ("any", "deduced"):
        return
    if shape in ("struct", "map"):
        if not isinstance(value, dict):
            yield f"{path}: expected map, got {_go_value(value)}"
            return
        for key, item in value.items():
            if shape == "struct" and key not in type.fields and type.element is None:
                yield f"{path}.{key}: field not declared in schema"
            else:
                yield from _problems(item, child_type(type, key), f"{path}.{key}")
    elif shape == "list":
        yield from _list_problems(value, type, path)
    elif shape in ("int-or-string", "quantity"):
        if isinstance(value, (dict, list)):
            yield f"{path}: expected any scalar, got {_go_value(value)}"
    else:
        kinds, expected = _EXPECTED[shape]
        if not isinstance(value, kinds) or (isinstance(value, bool) and shape != "boolean"):
            got = _go_type(value) if "numeric" in expected else _go_value(value)
            yield f"{path}: expected {expected}, got {got}"


def _list_problems(value: Any, type: Type, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: expected list, got {_go_value(value)}"
        return
    seen = set()
    for index, item in enumerate(value):
        where = f"{path}[{index}]"
        if not type.atomic:
            if type.keys and not isinstance(item, dict):
                yield f"{path}: element {index}: associative list with keys may not have non-map elements"
                continue
            element = element_of(item, type)
            where = path + show(element)
            if element in seen:
                yield f"{path}: duplicate entries for key {show(element)}"
                continue
            seen.add(element)
        yield from _problems(item, type.element or ANY, where)


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    return "[]interface {}" if isinstance(value, list) else "map[string]interface {}"


def _go_value(value: Any) -> str:
    """A value as its Go wrapper prints: the server shows its inside, whatever that is."""
    return f"&value.valueUnstructured{{Value:{show_value(value)}}}"


def show_value(value: Any) -> str:
    """A value in Go syntax, as far as it is used in messages."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
