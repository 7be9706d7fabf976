"""One database: keys to values, with the times at which they expire, bounded in all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from simkube.runtime.programs.redis.values import WRONG_TYPE, Refused, SortedSet, size_of

MOST_BYTES = 4 << 20
"""What all keys and values of a database may take together."""

T = TypeVar("T")


class Database:
    """``changes`` counts what was written. ``limit`` and ``policy`` are ``maxmemory`` and its policy."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.values: dict[bytes, Any] = {}
        self.expires: dict[bytes, float] = {}
        self.size = 0
        self.changes = 0
        self.limit = 0
        self.policy = "noeviction"

    def expire(self) -> None:
        """Drop what has expired."""
        for key in [key for key, when in self.expires.items() if when <= self.now()]:
            self.drop(key)

    def drop(self, key: bytes) -> bool:
        """Forget a key; whether it was there."""
        value = self.values.pop(key, None)
        self.expires.pop(key, None)
        if value is None:
            return False
        self.size -= len(key) + size_of(value)
        self.changes += 1
        return True

    def put(self, key: bytes, value: Any) -> None:
        """Store a value, or drop the key when nothing is in it; :class:`Refused` when there is no room."""
        if not value and not isinstance(value, bytes):
            self.drop(key)
            return
        old = self.values.get(key)
        grown = len(key) + size_of(value) - (len(key) + size_of(old) if old is not None else 0)
        self._make_room(key, grown)
        self.size += grown
        self.values[key] = value
        self.changes += 1

    def _make_room(self, key: bytes, grown: int) -> None:
        limit = min(MOST_BYTES, self.limit or MOST_BYTES)
        while self.size + grown > limit and self.limit and self.policy != "noeviction":
            among = self.expires if self.policy.startswith("volatile") else self.values
            victim = next((one for one in among if one != key), None)
            if victim is None:
                break
            self.drop(victim)
        if grown > 0 and self.size + grown > limit:
            raise Refused("OOM command not allowed when used memory > 'maxmemory'.")

    def get(self, key: bytes, kind: Callable[..., T]) -> T | None:
        """A value of a kind (``bytes``, ``list``, ``set``, ``dict``, ``SortedSet``); :class:`Refused` for another."""
        value = self.values.get(key)
        if value is not None and type(value) is not kind:
            raise Refused(WRONG_TYPE)
        return value

    def copy(self, key: bytes, kind: Callable[..., T]) -> T:
        """A copy of a value to change and :meth:`put` back; empty when there is none."""
        value = self.get(key, kind)
        return kind() if value is None else kind(value)

    def flush(self) -> None:
        """Forget everything."""
        self.values.clear()
        self.expires.clear()
        self.size = 0
        self.changes += 1

    def dump(self) -> list[Any]:
        """Everything as JSON, to be read by :meth:`load`."""
        return [[key.hex(), _plain(value), self.expires.get(key)] for key, value in self.values.items()]

    def load(self, rows: Any) -> None:
        """Take back what :meth:`dump` gave; ValueError, TypeError, Refused for something else."""
        for key, value, when in rows:
            name = bytes.fromhex(key)
            self.put(name, _value(value))
            if when is not None:
                self.expires[name] = float(when)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, SortedSet):
        return {"zset": [[member.hex(), score] for member, score in value.items()]}
    if isinstance(value, dict):
        return {"hash": [[name.hex(), text.hex()] for name, text in value.items()]}
    if isinstance(value, set):
        return {"set": [one.hex() for one in sorted(value)]}
    return [one.hex() for one in value]


def _value(plain: Any) -> Any:
    if isinstance(plain, str):
        return bytes.fromhex(plain)
    if isinstance(plain, list):
        return [bytes.fromhex(one) for one in plain]
    if "zset" in plain:
        return SortedSet({bytes.fromhex(member): float(score) for member, score in plain["zset"]})
    if "hash" in plain:
        return {bytes.fromhex(name): bytes.fromhex(text) for name, text in plain["hash"]}
    return {bytes.fromhex(one) for one in plain["set"]}


MAGIC = b"REDIS0011 simulated\n"


def dump_all(bases: dict[int, Database]) -> bytes:
    """Every database as a file."""
    return MAGIC + json.dumps({number: base.dump() for number, base in bases.items() if base.values}).encode()


def load_all(data: bytes, base_of: Callable[[int], Database]) -> bool:
    """Take back what :func:`dump_all` gave; False when it is something else."""
    if not data.startswith(MAGIC):
        return False
    try:
        rows = json.loads(data[len(MAGIC) :])
        for number, found in rows.items() if isinstance(rows, dict) else [("0", rows)]:
            base_of(int(number)).load(found)
    except (ValueError, TypeError, KeyError, RecursionError, Refused):
        return False
    return True
