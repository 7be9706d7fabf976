"""Objects as bytes, encoded once per revision however often they are read or watched.

A bounded memory of recent encodings, shared by all clusters of a process (uids are unique). It refuses to encode
anything but JSON; YAML is made of the JSON where somebody asks for it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

from simkube.client.client import Obj

_MOST_BYTES = 8 * 1024 * 1024


def dump(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class Encoder:
    """Encodes stored objects; the same object at the same revision is encoded once while it is remembered."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most_bytes
        self._size = 0
        self._known: OrderedDict[tuple[str, str, str], tuple[Obj, bytes]] = OrderedDict()

    def object(self, obj: Obj) -> bytes:
        """One object as compact JSON."""
        meta = obj.get("metadata") or {}
        uid, version = meta.get("uid"), meta.get("resourceVersion")
        if not uid or not version:
            return dump(obj)
        key = (uid, version, obj.get("apiVersion", ""))
        found = self._known.get(key)
        if found is not None and found[0] is obj:  # a dry run answers another object under the same revision
            self._known.move_to_end(key)
            return found[1]
        made = dump(obj)
        self._remember(key, obj, made)
        return made

    def _remember(self, key: tuple[str, str, str], obj: Obj, made: bytes) -> None:
        replaced = self._known.pop(key, None)
        self._size += len(made) - (len(replaced[1]) if replaced else 0)
        self._known[key] = (obj, made)
        while self._size > self._most:
            self._size -= len(self._known.popitem(last=False)[1][1])

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
