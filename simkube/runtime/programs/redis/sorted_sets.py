"""Commands on sorted sets."""

from __future__ import annotations

from simkube.runtime.programs.redis.database import Database
from simkube.runtime.programs.redis.values import (
    SYNTAX,
    Refused,
    Reply,
    SortedSet,
    Words,
    decimal,
    integer,
    shown,
    span,
)

Pairs = list[tuple[bytes, float]]


def _get(base: Database, key: bytes) -> SortedSet:
    return base.copy(key, SortedSet)


def _add(base: Database, words: Words) -> Reply:
    """``ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member...``"""
    scores, rest = _get(base, words[0]), words[1:]
    options: set[bytes] = set()
    while rest and rest[0].upper() in (b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"):
        options.add(rest.pop(0).upper())
    if not rest or len(rest) % 2 or {b"NX", b"XX"} <= options or (b"INCR" in options and len(rest) != 2):
        raise Refused(SYNTAX)
    added = changed = 0
    score: float | None = None
    for given, member in zip(rest[::2], rest[1::2], strict=True):
        old, score = scores.get(member), decimal(given)
        if b"INCR" in options and old is not None:
            score += old
        if (old is None and b"XX" in options) or (old is not None and _kept(old, score, options)):
            score = None
            continue
        added += old is None
        changed += old != score
        scores[member] = score
    base.put(words[0], scores)
    if b"INCR" in options:
        return None if score is None else shown(score)
    return changed if b"CH" in options else added


def _kept(old: float, new: float, options: set[bytes]) -> bool:
    return b"NX" in options or (b"GT" in options and new <= old) or (b"LT" in options and new >= old)


def _bound(word: bytes) -> tuple[float, bool]:
    """A limit of scores, and whether it is itself left out."""
    try:
        return decimal(word.lstrip(b"(")), word.startswith(b"(")
    except Refused:
        raise Refused("ERR min or max is not a float") from None


def _between(scores: SortedSet, low: bytes, high: bytes) -> Pairs:
    (least, open_low), (most, open_high) = _bound(low), _bound(high)
    return [
        (member, score)
        for member, score in scores.ranked()
        if (score > least if open_low else score >= least) and (score < most if open_high else score <= most)
    ]


def _shown(pairs: Pairs, *, scores: bool) -> Reply:
    if not scores:
        return [member for member, _ in pairs]
    return [each for member, score in pairs for each in (member, shown(score))]


def _range(base: Database, words: Words, *, reverse: bool = False, by_score: bool = False) -> Reply:
    """``ZRANGE key start stop [BYSCORE] [REV] [LIMIT offset count] [WITHSCORES]`` and its older forms."""
    scores, options = _get(base, words[0]), [word.upper() for word in words[3:]]
    with_scores = False
    limit: tuple[int, int] | None = None
    while options:
        option = options.pop(0)
        if option == b"WITHSCORES":
            with_scores = True
        elif option == b"REV":
            reverse = True
        elif option == b"BYSCORE":
            by_score = True
        elif option == b"LIMIT" and len(options) > 1:
            limit = (integer(options.pop(0)), integer(options.pop(0)))
        else:
            raise Refused(SYNTAX)
    if by_score:
        low, high = (words[2], words[1]) if reverse else (words[1], words[2])
        pairs = _between(scores, low, high)
        pairs = pairs[::-1] if reverse else pairs
    else:
        ranked = scores.ranked()
        pairs = (ranked[::-1] if reverse else ranked)[span(words[1:3], len(ranked))]
    if limit is not None:
        pairs = pairs[limit[0] :] if limit[1] < 0 else pairs[limit[0] : limit[0] + limit[1]]
    return _shown(pairs, scores=with_scores)


def _rank(base: Database, words: Words, *, reverse: bool) -> Reply:
    ranked = [member for member, _ in _get(base, words[0]).ranked()]
    if words[1] not in ranked:
        return None
    at = ranked.index(words[1])
    return len(ranked) - 1 - at if reverse else at


def _remove(base: Database, key: bytes, members: list[bytes]) -> Reply:
    scores = _get(base, key)
    gone = sum(scores.pop(member, None) is not None for member in members)
    base.put(key, scores)
    return gone


def _pop(base: Database, words: Words, *, highest: bool) -> Reply:
    ranked = _get(base, words[0]).ranked()
    count = integer(words[1]) if len(words) > 1 else 1
    taken = (ranked[::-1] if highest else ranked)[: max(0, count)]
    _remove(base, words[0], [member for member, _ in taken])
    return _shown(taken, scores=True)


def _score(base: Database, words: Words) -> Reply:
    score = _get(base, words[0]).get(words[1])
    return None if score is None else shown(score)


def _remove_ranks(base: Database, words: Words) -> Reply:
    ranked = _get(base, words[0]).ranked()
    return _remove(base, words[0], [member for member, _ in ranked[span(words[1:], len(ranked))]])


def _remove_scores(base: Database, words: Words) -> Reply:
    return _remove(base, words[0], [member for member, _ in _between(_get(base, words[0]), words[1], words[2])])


COMMANDS = {
    "zadd": (_add, 3, 1024),
    "zcard": (lambda base, words: len(_get(base, words[0])), 1, 1),
    "zcount": (lambda base, words: len(_between(_get(base, words[0]), words[1], words[2])), 3, 3),
    "zincrby": (lambda base, words: _add(base, [words[0], b"INCR", words[1], words[2]]), 3, 3),
    "zpopmax": (lambda base, words: _pop(base, words, highest=True), 1, 2),
    "zpopmin": (lambda base, words: _pop(base, words, highest=False), 1, 2),
    "zrange": (_range, 3, 9),
    "zrangebyscore": (lambda base, words: _range(base, words, by_score=True), 3, 9),
    "zrank": (lambda base, words: _rank(base, words, reverse=False), 2, 2),
    "zrem": (lambda base, words: _remove(base, words[0], words[1:]), 2, 1024),
    "zremrangebyrank": (_remove_ranks, 3, 3),
    "zremrangebyscore": (_remove_scores, 3, 3),
    "zrevrange": (lambda base, words: _range(base, words, reverse=True), 3, 4),
    "zrevrangebyscore": (lambda base, words: _range(base, words, reverse=True, by_score=True), 3, 9),
    "zrevrank": (lambda base, words: _rank(base, words, reverse=True), 2, 2),
    "zscore": (_score, 2, 2),
}
