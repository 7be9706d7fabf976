"""Commands on keys, whatever is under them, and on the whole database."""

from __future__ import annotations

import random

from simkube.runtime.programs.redis.database import Database
from simkube.runtime.programs.redis.values import SYNTAX, Refused, Reply, Words, integer, kind_of, matcher, size_of

_RANDOM = random.Random()  # noqa: S311 - no secrets


def _expire(base: Database, words: Words, *, unit: int, absolute: bool = False) -> Reply:
    """``EXPIRE key seconds [NX|XX|GT|LT]`` and its kin."""
    key, option = words[0], words[2].upper() if len(words) > 2 else b""
    if option not in (b"", b"NX", b"XX", b"GT", b"LT"):
        raise Refused(f"ERR Unsupported option {option.decode('utf-8', 'replace')}")
    when = integer(words[1]) / unit + (0 if absolute else base.now())
    old = base.expires.get(key)
    if key not in base.values or (option == b"NX" and old is not None) or (option == b"XX" and old is None):
        return 0
    if (option == b"GT" and (old is None or when <= old)) or (option == b"LT" and old is not None and when >= old):
        return 0
    if when <= base.now():
        base.drop(key)
    else:
        base.expires[key] = when
        base.changes += 1
    return 1


def _left(base: Database, key: bytes, unit: int) -> Reply:
    if key not in base.values:
        return -2
    return round((base.expires[key] - base.now()) * unit) if key in base.expires else -1


def _rename(base: Database, words: Words, *, new: bool = False) -> Reply:
    if words[0] not in base.values:
        raise Refused("ERR no such key")
    if new and words[1] in base.values:
        return 0
    value, until = base.values[words[0]], base.expires.get(words[0])
    base.drop(words[0])
    base.drop(words[1])
    base.put(words[1], value)
    if until is not None:
        base.expires[words[1]] = until
    return 1 if new else "OK"


def _keys(base: Database, words: Words) -> Reply:
    matches = matcher(words[0])
    return [key for key in base.values if matches(key)]


def _scan(base: Database, words: Words) -> Reply:
    """``SCAN cursor [MATCH pattern] [COUNT n] [TYPE kind]``: everything in one go."""
    integer(words[0])
    options = [word.upper() for word in words[1::2]]
    if len(words) % 2 == 0 or set(options) - {b"MATCH", b"COUNT", b"TYPE"}:
        raise Refused(SYNTAX)
    given = dict(zip(options, words[2::2], strict=True))
    matches = matcher(given.get(b"MATCH", b"*"))
    kind = given.get(b"TYPE", b"").decode("utf-8", "replace").lower()
    found = [key for key, value in base.values.items() if matches(key) and kind in ("", kind_of(value))]
    return [b"0", found if words[0] == b"0" else []]


def _copy(base: Database, words: Words) -> Reply:
    if words[0] not in base.values or (words[1] in base.values and words[-1].upper() != b"REPLACE"):
        return 0
    value = base.values[words[0]]
    base.put(words[1], value if isinstance(value, bytes) else type(value)(value))
    return 1


def _object(base: Database, words: Words) -> Reply:
    if words[0].lower() != b"encoding" or len(words) != 2:
        raise Refused("ERR OBJECT: only ENCODING is simulated")
    if words[1] not in base.values:
        return None
    value = base.values[words[1]]
    if isinstance(value, bytes):
        return b"int" if value.lstrip(b"-").isdigit() and len(value) < 20 else b"embstr" if len(value) < 45 else b"raw"
    return {"list": b"listpack", "set": b"listpack", "hash": b"listpack", "zset": b"listpack"}[kind_of(value)]


def _random(base: Database, words: Words) -> Reply:
    return _RANDOM.choice(list(base.values)) if base.values else None


def _flush(base: Database, words: Words) -> Reply:
    base.flush()
    return "OK"


def _memory(base: Database, words: Words) -> Reply:
    if words[0].lower() != b"usage" or len(words) < 2:
        raise Refused("ERR MEMORY: only USAGE is simulated")
    return len(words[1]) + size_of(base.values[words[1]]) + 48 if words[1] in base.values else None


COMMANDS = {
    "copy": (_copy, 2, 5),
    "dbsize": (lambda base, _: len(base.values), 0, 0),
    "del": (lambda base, words: sum(base.drop(key) for key in words), 1, 1024),
    "exists": (lambda base, words: sum(word in base.values for word in words), 1, 1024),
    "expire": (lambda base, words: _expire(base, words, unit=1), 2, 3),
    "expireat": (lambda base, words: _expire(base, words, unit=1, absolute=True), 2, 3),
    "expiretime": (lambda base, words: int(base.expires.get(words[0], -1 if words[0] in base.values else -2)), 1, 1),
    "flushdb": (_flush, 0, 1),
    "keys": (_keys, 1, 1),
    "memory": (_memory, 1, 4),
    "object": (_object, 1, 2),
    "persist": (lambda base, words: int(base.expires.pop(words[0], None) is not None), 1, 1),
    "pexpire": (lambda base, words: _expire(base, words, unit=1000), 2, 3),
    "pexpireat": (lambda base, words: _expire(base, words, unit=1000, absolute=True), 2, 3),
    "pttl": (lambda base, words: _left(base, words[0], 1000), 1, 1),
    "randomkey": (_random, 0, 0),
    "rename": (_rename, 2, 2),
    "renamenx": (lambda base, words: _rename(base, words, new=True), 2, 2),
    "scan": (_scan, 1, 7),
    "touch": (lambda base, words: sum(word in base.values for word in words), 1, 1024),
    "ttl": (lambda base, words: _left(base, words[0], 1), 1, 1),
    "type": (lambda base, words: kind_of(base.values[words[0]]) if words[0] in base.values else "none", 1, 1),
    "unlink": (lambda base, words: sum(base.drop(key) for key in words), 1, 1024),
}
