"""Objects as bytes, encoded once per revision however often they are read or watched.

A bounded memory of recent encodings, shared by all clusters of a process; what is remembered of one goes with it, for
an object takes many times the memory of its encoding. It refuses to encode anything but JSON; YAML is made of the JSON
where somebody asks for it.
"""

from __future__ import annotations

import itertools
import json
from collections import OrderedDict
from typing import Any

from simkube.client.client import Obj

_MOST_BYTES = 8 * 1024 * 1024


def dump(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


Key = tuple[int, str, str, str]
"""Of which encoder, uid, revision and version."""


class Encodings:
    """What all encoders of a process remember: so many bytes, the latest used."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most_bytes
        self._size = 0
        self._known: OrderedDict[Key, tuple[Obj, bytes]] = OrderedDict()
        self._numbers = itertools.count()

    def open(self) -> Encoder:
        """An encoder for one more cluster."""
        return Encoder(self, next(self._numbers))

    def get(self, key: Key) -> tuple[Obj, bytes] | None:
        """What is remembered under a key."""
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def remember(self, key: Key, obj: Obj, made: bytes) -> None:
        """Keep an encoding; the longest unused go for it."""
        replaced = self._known.pop(key, None)
        self._size += len(made) - (len(replaced[1]) if replaced else 0)
        self._known[key] = (obj, made)
        while self._size > self._most:
            self._size -= len(self._known.popitem(last=False)[1][1])

    def forget(self, number: int) -> None:
        """Keep nothing more of one encoder."""
        for key in [key for key in self._known if key[0] == number]:
            self._size -= len(self._known.pop(key)[1])

    def __len__(self) -> int:
        return len(self._known)


class Encoder:
    """Encodes stored objects of one cluster; the same object at the same revision once while it is remembered."""

    def __init__(self, known: Encodings, number: int) -> None:
        self._known = known
        self._number = number

    def forget(self) -> None:
        """Remember nothing more of what was encoded; the cluster ends."""
        self._known.forget(self._number)

    def object(self, obj: Obj) -> bytes:
        """One object as compact JSON."""
        meta = obj.get("metadata") or {}
        uid, version = meta.get("uid"), meta.get("resourceVersion")
        if not uid or not version:
            return dump(obj)
        key = (self._number, uid, version, obj.get("apiVersion", ""))
        found = self._known.get(key)
        if found is not None and found[0] is obj:  # a dry run answers another object under the same revision
            return found[1]
        made = dump(obj)
        self._known.remember(key, obj, made)
        return made

    def item(self, obj: Obj) -> bytes:
        """One item of a list; these do not repeat their kind."""
        made = self.object(obj)
        start = f'{{"kind":"{obj["kind"]}","apiVersion":"{obj["apiVersion"]}",'.encode()
        if made.startswith(start):
            return b"{" + made[len(start) :]
        return dump({key: value for key, value in obj.items() if key not in ("kind", "apiVersion")})

    def event(self, kind: str, obj: Obj) -> bytes:
        """One line of a watch."""
        return b'{"type":"' + kind.encode() + b'","object":' + self.object(obj) + b"}\n"
