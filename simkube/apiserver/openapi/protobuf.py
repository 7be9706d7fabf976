"""The OpenAPI v2 document in the binary form that kubectl asks for.

The message numbers are those of gnostic's ``openapiv2/OpenAPIv2.proto``. Only what
:mod:`simkube.apiserver.openapi.documents` puts into a document is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]

_OPERATIONS = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}


def document(given: Document) -> bytes:
    """The whole document."""
    info = _text(1, given["info"]["title"]) + _text(2, given["info"]["version"])
    paths = b"".join(_message(2, _text(1, path) + _message(2, _path_item(one))) for path, one in given["paths"].items())
    return b"".join(
        (
            _text(1, given["swagger"]),
            _message(2, info),
            _message(8, paths),
            _message(9, _schemas(given["definitions"])),
        )
    )


def parts(given: Document) -> bytes:
    """Paths and definitions alone: what comes after a document adds to it."""
    paths = b"".join(_message(2, _text(1, path) + _message(2, _path_item(one))) for path, one in given["paths"].items())
    return _message(8, paths) + _message(9, _schemas(given["definitions"]))


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str | None) -> bytes:
    return _message(field, text.encode()) if text else b""


def _flag(field: int, value: Any) -> bytes:
    return _varint(field << 3) + b"\x01" if value else b""


def _texts(field: int, values: Any) -> bytes:
    return b"".join(_message(field, str(value).encode()) for value in values or ())


def _any(value: Any) -> bytes:
    """An ``Any``: its YAML text, which JSON is."""
    return _text(2, json.dumps(value, separators=(",", ":")))


def _extensions(field: int, given: Document) -> bytes:
    return b"".join(
        _message(field, _text(1, key) + _message(2, _any(value))) for key, value in given.items() if key[:2] == "x-"
    )


def _schemas(given: Document) -> bytes:
    """``Definitions`` and ``Properties``: named schemas."""
    return b"".join(_message(1, _text(1, name) + _message(2, _schema(one))) for name, one in given.items())


def _schema(given: Document) -> bytes:
    parts = [
        _text(1, given.get("$ref")),
        _text(2, given.get("format")),
        _text(4, given.get("description")),
        _texts(19, given.get("required")),
        b"".join(_message(20, _any(value)) for value in given.get("enum", ())),
    ]
    if isinstance(given.get("additionalProperties"), dict):
        parts.append(_message(21, _message(1, _schema(given["additionalProperties"]))))
    if "type" in given:
        parts.append(_message(22, _text(1, given["type"])))
    if "items" in given:
        parts.append(_message(23, _message(1, _schema(given["items"]))))
    if "properties" in given:
        parts.append(_message(25, _schemas(given["properties"])))
    parts.append(_extensions(31, given))
    return b"".join(parts)


def _path_item(given: Document) -> bytes:
    operations = b"".join(
        _message(number, _operation(given[method])) for method, number in _OPERATIONS.items() if method in given
    )
    return operations + _parameters(9, given.get("parameters", ()))


def _operation(given: Document) -> bytes:
    responses = b"".join(
        _message(1, _text(1, code) + _message(2, _message(1, _response(one))))
        for code, one in given.get("responses", {}).items()
    )
    return b"".join(
        (
            _texts(1, given.get("tags")),
            _text(3, given.get("description")),
            _text(5, given.get("operationId")),
            _texts(7, given.get("consumes")),
            _parameters(8, given.get("parameters", ())),
            _message(9, responses),
            _extensions(13, given),
        )
    )


def _response(given: Document) -> bytes:
    schema = _message(2, _message(1, _schema(given["schema"]))) if "schema" in given else b""
    return _text(1, given.get("description")) + schema


def _parameters(field: int, given: Any) -> bytes:
    return b"".join(_message(field, _message(1, _parameter(one))) for one in given)


def _parameter(given: Document) -> bytes:
    described, required = given.get("description"), given.get("required")
    name, place = given["name"], given["in"]
    if place == "body":
        fields = (_text(1, described), _text(2, name), _text(3, place), _flag(4, required))
        return _message(1, b"".join(fields) + _message(5, _schema(given["schema"])))
    common = _flag(1, required) + _text(2, place) + _text(3, described) + _text(4, name)
    if place == "query":
        return _message(2, _message(3, common + _text(6, given["type"])))
    return _message(2, _message(4, common + _text(5, given["type"])))
