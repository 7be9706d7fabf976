"""JSON patches (RFC 6902) as the API server applies them.

It follows the library that Kubernetes uses where that differs from the RFC: ``replace`` of a member that is absent
sets it, an index may be negative, and the whole document cannot be the target. What fails, fails as
:class:`PatchError`; the API server does not tell the client why.
"""

from __future__ import annotations

from typing import Any

from simkube.apiserver.fields.strategic import PatchError

MOST_OPERATIONS = 10_000
"""More operations than this in one patch are refused (413)."""

MOST_COPIED = 3 * 1024 * 1024
"""About as many bytes of JSON may the copies of one patch make: few operations could otherwise fill the memory."""
VALUE_BYTES = 256
"""What a value counts for, beside its text: to copy it takes the time of so many bytes."""

_ABSENT = object()


def apply(document: Any, operations: list[Any]) -> Any:
    """The document after all operations, in order; ``document`` itself must not be used afterwards (it is changed)."""
    copied = 0
    for operation in operations:
        if not isinstance(operation, dict):
            raise PatchError("an operation is an object")
        if operation.get("op") == "copy":
            copied += _size(_get(document, _path(operation, "from")), MOST_COPIED - copied)
            if copied > MOST_COPIED:
                raise PatchError(f"the copies of this patch are larger than {MOST_COPIED} bytes")
        _apply_one(document, operation)
    return document


def _size(value: Any, most: int) -> int:
    """Bytes that it counts for; counted no further than a little more than ``most``."""
    waiting, size = [value], 0
    while waiting and size <= most:
        item = waiting.pop()
        size += VALUE_BYTES
        if isinstance(item, dict):
            waiting.extend(item.values())
            size += sum(map(len, item))
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str):
            size += len(item)
    return size


def _apply_one(document: Any, operation: dict[str, Any]) -> None:
    kind = operation.get("op")
    path = _path(operation, "path")
    if kind == "add":
        _add(document, path, _copy(operation.get("value")))
    elif kind == "replace":
        _replace(document, path, _copy(operation.get("value")))
    elif kind == "remove":
        _remove(document, path)
    elif kind == "test":
        found = _get(document, path)
        if not same(None if found is _ABSENT else found, operation.get("value")):
            raise PatchError(f"testing value {'/'.join(path)} failed")
    elif kind == "move":
        source = _path(operation, "from")
        value = _get(document, source)
        _remove(document, source)
        _add(document, path, value)
    elif kind == "copy":
        value = _get(document, _path(operation, "from"))
        _add(document, path, None if value is _ABSENT else _copy(value))
    else:
        raise PatchError(f"Unexpected kind: {kind}")


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; unlike in Python, true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(left, right) for left, right in zip(one, other, strict=True))
    return bool(one == other)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _path(operation: dict[str, Any], name: str) -> list[str]:
    pointer = operation.get(name)
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        raise PatchError(f"operation {name} is not a path: {pointer}")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _parent(document: Any, path: list[str]) -> Any:
    for part in path[:-1]:
        document = _child(document, part)
        if document is _ABSENT or not isinstance(document, (dict, list)):
            raise PatchError(f"missing path: /{'/'.join(path)}")
    return document


def _child(parent: Any, part: str) -> Any:
    if isinstance(parent, dict):
        return parent.get(part, _ABSENT)
    return parent[_index(part, len(parent) - 1, len(parent))]


def _get(document: Any, path: list[str]) -> Any:
    return _child(_parent(document, path), path[-1])


def _index(part: str, most: int, length: int) -> int:
    try:
        index = int(part)
    except ValueError:
        raise PatchError(f"not an index: {part}") from None
    if index < 0:
        index += length
    if not 0 <= index <= most:
        raise PatchError(f"unable to access invalid index: {part}")
    return index


def _add(document: Any, path: list[str], value: Any) -> None:
    parent = _parent(document, path)
    if isinstance(parent, dict):
        parent[path[-1]] = value
    elif path[-1] == "-":
        parent.append(value)
    else:
        parent.insert(_index(path[-1], len(parent), len(parent)), value)


def _replace(document: Any, path: list[str], value: Any) -> None:
    parent = _parent(document, path)
    if isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        parent[_index(path[-1], len(parent) - 1, len(parent))] = value


def _remove(document: Any, path: list[str]) -> None:
    parent = _parent(document, path)
    if isinstance(parent, list):
        del parent[_index(path[-1], len(parent) - 1, len(parent))]
    elif path[-1] in parent:
        del parent[path[-1]]
    else:
        raise PatchError(f"unable to remove nonexistent key: {path[-1]}")
