"""Bodies in Kubernetes' protobuf encoding, read into the JSON they stand for.

kubectl sends what it makes itself (``create deployment``, ``scale``, ``drain``) as protobuf and takes JSON as the
answer. ``wire.json`` holds, for each message, its field numbers with name and type, as the message descriptors of
Kubernetes 1.32 give them. It refuses (501, by number) a field that is newer, rather than dropping it, and never
writes protobuf.

The envelope is ``k8s\\0`` and a ``runtime.Unknown``; see ``apimachinery/pkg/runtime/serializer/protobuf``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

from simkube.apimachinery.errors import bad_request, not_simulated

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\0"
_MOST_DEPTH = 60
_MOST_FIELDS = 100_000
_INLINE = frozenset(
    {
        "handler",
        "localObjectReference",
        "volumeSource",
        "ephemeralContainerCommon",
        "persistentVolumeSource",
        "ingressRuleValue",
    }
)
"""Fields whose message is part of its parent in JSON."""

Field = tuple[str, str]
"""Name in JSON, and type: a scalar, a message, ``[]`` before either for a list, ``{}`` for a map with string keys."""


@cache
def _messages() -> dict[str, dict[int, Field]]:
    raw = json.loads((resources.files("simkube.apiserver.http") / "wire.json").read_text(encoding="utf-8"))
    found: dict[str, dict[int, Field]] = {}
    for message, fields in raw.items():
        split = {int(number): text.partition(" ") for number, text in fields.items()}
        found[message] = {number: (name, code) for number, (name, _, code) in split.items()}
    return found


def _message(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    name = f"{group.partition('.')[0] or 'core'}.{version}.{kind}"
    if kind == "DeleteOptions":
        name = "meta.v1.DeleteOptions"
    if name not in _messages():
        raise not_simulated(f"{kind} of {api_version} in protobuf")
    return name


def decode(raw: bytes) -> dict[str, Any]:
    """The object in an envelope, with its ``apiVersion`` and ``kind``. 400 for what is no such envelope."""
    if not raw.startswith(_MAGIC):
        raise bad_request("the body is not in the protobuf encoding of Kubernetes")
    try:
        envelope = dict(_fields(raw[len(_MAGIC) :]))
        names = dict(_fields(bytes(envelope.get(1, b""))))
        api_version, kind = (bytes(names.get(number, b"")).decode() for number in (1, 2))
        body = _Reader().message(bytes(envelope.get(2, b"")), _message(api_version, kind), 0)
    except (IndexError, ValueError, TypeError, OverflowError) as error:
        raise bad_request(f"the body cannot be decoded as protobuf: {error}") from None
    return {**body, "apiVersion": api_version, "kind": kind}


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """``(number, value)`` of each field of a message, in order."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, form = key >> 3, key & 7
        if form == 0:
            value, at = _varint(data, at)
            yield number, value
        elif form == 2:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise ValueError("the body ends too early")
            yield number, data[at : at + length]
            at += length
        elif form in (1, 5):
            length = 8 if form == 1 else 4
            yield number, data[at : at + length]
            at += length
        else:
            raise ValueError(f"a field of the unknown form {form}")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


class _Reader:
    def __init__(self) -> None:
        self._read = 0

    def message(self, data: bytes, name: str, depth: int) -> dict[str, Any]:
        """A message as a JSON object."""
        if depth > _MOST_DEPTH:
            raise ValueError("messages nested too deeply")
        known = _messages()[name]
        made: dict[str, Any] = {}
        for number, value in _fields(data):
            self._read += 1
            if self._read > _MOST_FIELDS:
                raise ValueError("too many fields")
            if number not in known:
                raise not_simulated(f"field {number} of {name} in protobuf")
            self._add(made, known[number], value, depth)
        return made

    def _add(self, made: dict[str, Any], field: Field, value: int | bytes, depth: int) -> None:
        name, code = field
        if code.startswith("{}"):
            key, item = self._entry(_bytes(value), code[2:], depth)
            made.setdefault(name, {})[key] = item
        elif code.startswith("[]"):
            made.setdefault(name, []).append(self._value(value, code[2:], depth))
        elif name in _INLINE:
            made.update(self._value(value, code, depth))
        else:
            made[name] = self._value(value, code, depth)

    def _entry(self, data: bytes, type: str, depth: int) -> tuple[str, Any]:
        entry = dict(_fields(data))
        given = entry.get(2, b"")
        return _bytes(entry.get(1, b"")).decode(), self._value(given, type, depth)

    def _value(self, value: int | bytes, type: str, depth: int) -> Any:
        if type == "string":
            return _bytes(value).decode()
        if type == "bool":
            return bool(value)
        if type == "integer":
            return _signed(_int(value))
        if type == "bytes":
            return base64.b64encode(_bytes(value)).decode()
        special = _SPECIAL.get(type.rpartition(".")[2])
        if special is not None:
            return special(_bytes(value))
        found = self.message(_bytes(value), type, depth + 1)
        return found.get("items", []) if type.endswith(".ExtraValue") else found


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where a text or message belongs")
    return value


def _int(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("a text or message where a number belongs")
    return value


def _quantity(data: bytes) -> str:
    return _bytes(dict(_fields(data)).get(1, b"0")).decode()


def _time(data: bytes, *, micro: bool = False) -> str | None:
    fields = dict(_fields(data))
    seconds = _signed(_int(fields.get(1, 0)))
    if not fields or not seconds:
        return None  # the zero time is written as null
    when = datetime.fromtimestamp(seconds, UTC)
    if micro:
        return when.replace(microsecond=_int(fields.get(2, 0)) // 1000).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _int_or_string(data: bytes) -> int | str:
    fields = dict(_fields(data))
    if fields.get(1, 0):
        return _bytes(fields.get(3, b"")).decode()
    return _signed(_int(fields.get(2, 0)))


def _json(data: bytes) -> Any:
    raw = _bytes(dict(_fields(data)).get(1, b""))
    return json.loads(raw) if raw else None


def _micro_time(data: bytes) -> str | None:
    return _time(data, micro=True)


_SPECIAL: dict[str, Callable[[bytes], Any]] = {
    "Quantity": _quantity,
    "Time": _time,
    "MicroTime": _micro_time,
    "IntOrString": _int_or_string,
    "RawExtension": _json,
    "FieldsV1": _json,
}
