"""Commands on lists, sets and hashes."""

from __future__ import annotations

import random

from simkube.runtime.programs.redis.database import Database
from simkube.runtime.programs.redis.values import SYNTAX, Refused, Reply, Words, decimal, integer, shown, span

_RANDOM = random.Random()  # noqa: S311 - no secrets


def _list_of(base: Database, key: bytes) -> list[bytes]:
    return base.copy(key, list)


def _set_of(base: Database, key: bytes) -> set[bytes]:
    return base.copy(key, set)


def _hash_of(base: Database, key: bytes) -> dict[bytes, bytes]:
    return base.copy(key, dict)


# -- lists ---------------------------------------------------------------------------------------------------------


def _push(base: Database, words: Words, *, left: bool, existing: bool = False) -> Reply:
    old = _list_of(base, words[0])
    if existing and not old:
        return 0
    new = [*reversed(words[1:]), *old] if left else [*old, *words[1:]]
    base.put(words[0], new)
    return len(new)


def pop(base: Database, words: Words, *, left: bool) -> Reply:
    """``LPOP key [count]``, ``RPOP``"""
    items = _list_of(base, words[0])
    count = integer(words[1]) if len(words) > 1 else 1
    if count < 0:
        raise Refused("ERR value is out of range, must be positive")
    if not items:
        return None
    taken = items[:count] if left else items[::-1][:count]
    base.put(words[0], items[len(taken) :] if left else items[: len(items) - len(taken)])
    return taken if len(words) > 1 else taken[0]


def _index(base: Database, words: Words) -> Reply:
    items, at = _list_of(base, words[0]), integer(words[1])
    return items[at] if -len(items) <= at < len(items) else None


def _list_set(base: Database, words: Words) -> Reply:
    items, at = _list_of(base, words[0]), integer(words[1])
    if not items:
        raise Refused("ERR no such key")
    if not -len(items) <= at < len(items):
        raise Refused("ERR index out of range")
    items[at] = words[2]
    base.put(words[0], items)
    return "OK"


def _list_remove(base: Database, words: Words) -> Reply:
    items, count = _list_of(base, words[0]), integer(words[1])
    order = range(len(items)) if count >= 0 else range(len(items) - 1, -1, -1)
    gone = [at for at in order if items[at] == words[2]][: abs(count) or None]
    base.put(words[0], [one for at, one in enumerate(items) if at not in set(gone)])
    return len(gone)


def _trim(base: Database, words: Words) -> Reply:
    items = _list_of(base, words[0])
    base.put(words[0], items[span(words[1:], len(items))])
    return "OK"


def _insert(base: Database, words: Words) -> Reply:
    items, where = _list_of(base, words[0]), words[1].upper()
    if where not in (b"BEFORE", b"AFTER"):
        raise Refused(SYNTAX)
    if words[2] not in items:
        return -1 if items else 0
    items.insert(items.index(words[2]) + (where == b"AFTER"), words[3])
    base.put(words[0], items)
    return len(items)


def _move(base: Database, words: Words) -> Reply:
    """``LMOVE from to LEFT|RIGHT LEFT|RIGHT``"""
    ends = [word.upper() for word in words[2:]]
    if set(ends) - {b"LEFT", b"RIGHT"}:
        raise Refused(SYNTAX)
    base.get(words[1], list)
    moved = pop(base, words[:1], left=ends[0] == b"LEFT")
    if isinstance(moved, bytes):
        _push(base, [words[1], moved], left=ends[1] == b"LEFT")
    return moved


def _position(base: Database, words: Words) -> Reply:
    items = _list_of(base, words[0])
    return items.index(words[1]) if words[1] in items else None


# -- sets ----------------------------------------------------------------------------------------------------------


def _set_add(base: Database, words: Words) -> Reply:
    members = _set_of(base, words[0])
    before = len(members)
    members.update(words[1:])
    base.put(words[0], members)
    return len(members) - before


def _set_remove(base: Database, words: Words) -> Reply:
    members = _set_of(base, words[0])
    before = len(members)
    members.difference_update(words[1:])
    base.put(words[0], members)
    return before - len(members)


def _combine(base: Database, keys: Words, how: str) -> set[bytes]:
    sets = [_set_of(base, key) for key in keys]
    if how == "union":
        return set().union(*sets)
    return sets[0].intersection(*sets[1:]) if how == "inter" else sets[0].difference(*sets[1:])


def _store(base: Database, words: Words, how: str) -> Reply:
    found = _combine(base, words[1:], how)
    base.put(words[0], found)
    return len(found)


def _set_pop(base: Database, words: Words, *, remove: bool) -> Reply:
    members = _set_of(base, words[0])
    count = integer(words[1]) if len(words) > 1 else 1
    chosen = _RANDOM.sample(sorted(members), min(abs(count), len(members)))
    if remove and chosen:
        base.put(words[0], members - set(chosen))
    return chosen if len(words) > 1 else chosen[0] if chosen else None


def _set_move(base: Database, words: Words) -> Reply:
    if words[2] not in _set_of(base, words[0]):
        return 0
    _set_remove(base, [words[0], words[2]])
    _set_add(base, [words[1], words[2]])
    return 1


# -- hashes --------------------------------------------------------------------------------------------------------


def _hash_set(base: Database, words: Words, *, old_reply: bool = False) -> Reply:
    fields = _hash_of(base, words[0])
    if len(words) % 2 == 0:
        raise Refused(f"ERR wrong number of arguments for '{'hmset' if old_reply else 'hset'}' command")
    before = len(fields)
    fields.update(zip(words[1::2], words[2::2], strict=True))
    base.put(words[0], fields)
    return "OK" if old_reply else len(fields) - before


def _hash_set_new(base: Database, words: Words) -> Reply:
    return 0 if words[1] in _hash_of(base, words[0]) else _hash_set(base, words)


def _hash_delete(base: Database, words: Words) -> Reply:
    fields = _hash_of(base, words[0])
    gone = sum(fields.pop(name, None) is not None for name in words[1:])
    base.put(words[0], fields)
    return gone


def _hash_add(base: Database, words: Words, *, whole: bool) -> Reply:
    fields = _hash_of(base, words[0])
    old = fields.get(words[1], b"0")
    if whole:
        if not old.lstrip(b"-").isdigit():
            raise Refused("ERR hash value is not an integer")
        total = integer(old) + integer(words[2])
        fields[words[1]] = str(total).encode()
    else:
        fields[words[1]] = shown(decimal(old) + decimal(words[2]))
    base.put(words[0], fields)
    return total if whole else fields[words[1]]


def _pairs(base: Database, key: bytes) -> list[bytes]:
    return [each for pair in _hash_of(base, key).items() for each in pair]


COMMANDS = {
    "lindex": (_index, 2, 2),
    "linsert": (_insert, 4, 4),
    "llen": (lambda base, words: len(_list_of(base, words[0])), 1, 1),
    "lmove": (_move, 4, 4),
    "lpop": (lambda base, words: pop(base, words, left=True), 1, 2),
    "lpos": (_position, 2, 2),
    "lpush": (lambda base, words: _push(base, words, left=True), 2, 1024),
    "lpushx": (lambda base, words: _push(base, words, left=True, existing=True), 2, 1024),
    "lrange": (lambda base, words: (items := _list_of(base, words[0]))[span(words[1:], len(items))], 3, 3),
    "lrem": (_list_remove, 3, 3),
    "lset": (_list_set, 3, 3),
    "ltrim": (_trim, 3, 3),
    "rpop": (lambda base, words: pop(base, words, left=False), 1, 2),
    "rpoplpush": (lambda base, words: _move(base, [*words, b"RIGHT", b"LEFT"]), 2, 2),
    "rpush": (lambda base, words: _push(base, words, left=False), 2, 1024),
    "rpushx": (lambda base, words: _push(base, words, left=False, existing=True), 2, 1024),
    "sadd": (_set_add, 2, 1024),
    "scard": (lambda base, words: len(_set_of(base, words[0])), 1, 1),
    "sdiff": (lambda base, words: sorted(_combine(base, words, "diff")), 1, 64),
    "sdiffstore": (lambda base, words: _store(base, words, "diff"), 2, 64),
    "sinter": (lambda base, words: sorted(_combine(base, words, "inter")), 1, 64),
    "sinterstore": (lambda base, words: _store(base, words, "inter"), 2, 64),
    "sismember": (lambda base, words: int(words[1] in _set_of(base, words[0])), 2, 2),
    "smembers": (lambda base, words: sorted(_set_of(base, words[0])), 1, 1),
    "smismember": (lambda base, words: [int(word in _set_of(base, words[0])) for word in words[1:]], 2, 64),
    "smove": (_set_move, 3, 3),
    "spop": (lambda base, words: _set_pop(base, words, remove=True), 1, 2),
    "srandmember": (lambda base, words: _set_pop(base, words, remove=False), 1, 2),
    "srem": (_set_remove, 2, 1024),
    "sunion": (lambda base, words: sorted(_combine(base, words, "union")), 1, 64),
    "sunionstore": (lambda base, words: _store(base, words, "union"), 2, 64),
    "hdel": (_hash_delete, 2, 1024),
    "hexists": (lambda base, words: int(words[1] in _hash_of(base, words[0])), 2, 2),
    "hget": (lambda base, words: _hash_of(base, words[0]).get(words[1]), 2, 2),
    "hgetall": (lambda base, words: _pairs(base, words[0]), 1, 1),
    "hincrby": (lambda base, words: _hash_add(base, words, whole=True), 3, 3),
    "hincrbyfloat": (lambda base, words: _hash_add(base, words, whole=False), 3, 3),
    "hkeys": (lambda base, words: list(_hash_of(base, words[0])), 1, 1),
    "hlen": (lambda base, words: len(_hash_of(base, words[0])), 1, 1),
    "hmget": (lambda base, words: [_hash_of(base, words[0]).get(name) for name in words[1:]], 2, 1024),
    "hmset": (lambda base, words: _hash_set(base, words, old_reply=True), 3, 1024),
    "hset": (_hash_set, 3, 1024),
    "hsetnx": (_hash_set_new, 3, 3),
    "hstrlen": (lambda base, words: len(_hash_of(base, words[0]).get(words[1], b"")), 2, 2),
    "hvals": (lambda base, words: list(_hash_of(base, words[0]).values()), 1, 1),
}
