"""Commands on strings."""

from __future__ import annotations

from simkube.runtime.programs.redis.database import Database
from simkube.runtime.programs.redis.values import SYNTAX, Refused, Reply, Words, decimal, integer, shown

LONGEST_STRING = 512 * 1024


def _text(base: Database, key: bytes) -> bytes | None:
    return base.get(key, bytes)


def set_(base: Database, words: Words) -> Reply:
    """``SET key value [EX s|PX ms|EXAT t|PXAT ms|KEEPTTL] [NX|XX] [GET]``"""
    key, value, options = words[0], words[1], [word.upper() for word in words[2:]]
    until: float | None = None
    keep = get = False
    condition = b""
    while options:
        option = options.pop(0)
        if option in (b"EX", b"PX", b"EXAT", b"PXAT") and options and until is None:
            until = expiry(base, "set", option, options.pop(0))
        elif option in (b"NX", b"XX") and not condition:
            condition = option
        elif option in (b"KEEPTTL", b"GET"):
            keep, get = keep or option == b"KEEPTTL", get or option == b"GET"
        else:
            raise Refused(SYNTAX)
    old = _text(base, key) if get else None
    if condition and (key in base.values) == (condition == b"NX"):
        return old
    base.put(key, value)
    if not keep:
        base.expires.pop(key, None)
    if until is not None:
        base.expires[key] = until
    return old if get else "OK"


def expiry(base: Database, command: str, option: bytes, word: bytes) -> float:
    """The time that ``EX 10`` and its kin mean; :class:`Refused`."""
    amount = integer(word) / (1000 if option.startswith(b"P") else 1)
    if amount <= 0:
        raise Refused(f"ERR invalid expire time in '{command}' command")
    return amount if option.endswith(b"AT") else base.now() + amount


def _setex(base: Database, words: Words, unit: bytes) -> Reply:
    name = "setex" if unit == b"EX" else "psetex"
    until = expiry(base, name, unit, words[1])
    base.put(words[0], words[2])
    base.expires[words[0]] = until
    return "OK"


def _mset(base: Database, words: Words, *, new: bool = False) -> Reply:
    if len(words) % 2:
        raise Refused(f"ERR wrong number of arguments for '{'msetnx' if new else 'mset'}' command")
    if new and any(key in base.values for key in words[::2]):
        return 0
    for key, value in zip(words[::2], words[1::2], strict=True):
        base.put(key, value)
        base.expires.pop(key, None)
    return 1 if new else "OK"


def _add(base: Database, key: bytes, amount: int) -> Reply:
    number = integer(_text(base, key) or b"0") + amount
    if not -(1 << 63) <= number < 1 << 63:
        raise Refused("ERR increment or decrement would overflow")
    base.put(key, str(number).encode())
    return number


def _add_float(base: Database, words: Words) -> Reply:
    total = shown(decimal(_text(base, words[0]) or b"0") + decimal(words[1]))
    base.put(words[0], total)
    return total


def _append(base: Database, words: Words) -> Reply:
    value = (_text(base, words[0]) or b"") + words[1]
    base.put(words[0], value)
    return len(value)


def _replace(base: Database, key: bytes, value: bytes | None) -> Reply:
    """``GETSET`` and ``GETDEL``."""
    old = _text(base, key)
    if value is None:
        base.drop(key)
    else:
        base.put(key, value)
        base.expires.pop(key, None)
    return old


def _range(base: Database, words: Words) -> Reply:
    value = _text(base, words[0]) or b""
    start, end = integer(words[1]), integer(words[2])
    start = max(0, len(value) + start) if start < 0 else start
    end = len(value) + end if end < 0 else end
    return value[start : end + 1]


def _set_range(base: Database, words: Words) -> Reply:
    start, value = integer(words[1]), _text(base, words[0]) or b""
    if start < 0 or start + len(words[2]) > LONGEST_STRING:
        raise Refused("ERR offset is out of range" if start < 0 else "ERR string exceeds maximum allowed size")
    value = value.ljust(start, b"\0")
    value = value[:start] + words[2] + value[start + len(words[2]) :]
    base.put(words[0], value)
    return len(value)


def _setnx(base: Database, words: Words) -> Reply:
    if words[0] in base.values:
        return 0
    base.put(words[0], words[1])
    return 1


def _getex(base: Database, words: Words) -> Reply:
    value = _text(base, words[0])
    if value is not None and len(words) == 3:
        base.expires[words[0]] = expiry(base, "getex", words[1].upper(), words[2])
    elif value is not None and len(words) == 2 and words[1].upper() == b"PERSIST":
        base.expires.pop(words[0], None)
    return value


COMMANDS = {
    "append": (_append, 2, 2),
    "decr": (lambda base, words: _add(base, words[0], -1), 1, 1),
    "decrby": (lambda base, words: _add(base, words[0], -integer(words[1])), 2, 2),
    "get": (lambda base, words: _text(base, words[0]), 1, 1),
    "getdel": (lambda base, words: _replace(base, words[0], None), 1, 1),
    "getex": (_getex, 1, 3),
    "getrange": (_range, 3, 3),
    "getset": (lambda base, words: _replace(base, words[0], words[1]), 2, 2),
    "incr": (lambda base, words: _add(base, words[0], 1), 1, 1),
    "incrby": (lambda base, words: _add(base, words[0], integer(words[1])), 2, 2),
    "incrbyfloat": (_add_float, 2, 2),
    "mget": (
        lambda base, words: [one if isinstance(one := base.values.get(word), bytes) else None for word in words],
        1, 1024,
    ),
    "mset": (_mset, 2, 1024),
    "msetnx": (lambda base, words: _mset(base, words, new=True), 2, 1024),
    "psetex": (lambda base, words: _setex(base, words, b"PX"), 3, 3),
    "set": (set_, 2, 8),
    "setex": (lambda base, words: _setex(base, words, b"EX"), 3, 3),
    "setnx": (_setnx, 2, 2),
    "setrange": (_set_range, 3, 3),
    "strlen": (lambda base, words: len(_text(base, words[0]) or b""), 1, 1),
    "substr": (_range, 3, 3),
}  # fmt: skip
