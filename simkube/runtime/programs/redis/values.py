"""What redis keeps under a key, how large it is, and the numbers in commands."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from typing import Any

Value = bytes | list[bytes] | set[bytes] | dict[bytes, bytes] | dict[bytes, float]
"""A string, a list, a set, a hash, or a sorted set (:class:`SortedSet`)."""


class Refused(Exception):
    """An error reply."""


class SortedSet(dict[bytes, float]):
    """Members with their scores."""

    def ranked(self) -> list[tuple[bytes, float]]:
        """Lowest score first; of equal scores the lower text."""
        return sorted(self.items(), key=lambda pair: (pair[1], pair[0]))


Reply = str | int | bytes | Sequence[Any] | None | Exception
Words = list[bytes]
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX = "ERR syntax error"


def size_of(value: Any) -> int:
    """About the bytes that a value takes."""
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, SortedSet):
        return sum(len(member) + 24 for member in value)
    if isinstance(value, dict):
        return sum(len(name) + len(text) + 16 for name, text in value.items())
    return sum(len(one) + 16 for one in value)


def kind_of(value: Any) -> str:
    """What ``TYPE`` says."""
    kinds: tuple[tuple[type, str], ...] = (
        (bytes, "string"), (list, "list"), (set, "set"), (SortedSet, "zset"), (dict, "hash"),
    )  # fmt: skip
    return next(name for kind, name in kinds if isinstance(value, kind))


def integer(word: bytes) -> int:
    """A 64-bit number; :class:`Refused`."""
    try:
        if len(word) > 20:
            raise ValueError
        number = int(word)
        if not -(1 << 63) <= number < 1 << 63:
            raise ValueError
        return number
    except ValueError:
        raise Refused("ERR value is not an integer or out of range") from None


def decimal(word: bytes) -> float:
    """A score or other number; :class:`Refused`."""
    try:
        if len(word) > 40:
            raise ValueError
        number = float(word)
        if number != number:
            raise ValueError
        return number
    except ValueError:
        raise Refused("ERR value is not a valid float") from None


def shown(number: float) -> bytes:
    """A score as redis writes it."""
    if number in (float("inf"), float("-inf")):
        return b"inf" if number > 0 else b"-inf"
    return (str(int(number)) if number == int(number) and abs(number) < 1e17 else repr(number)).encode()


def matcher(pattern: bytes) -> Callable[[bytes], bool]:
    """A test by a pattern of ``*``, ``?`` and ``[...]``; :class:`Refused` for one that would take too long."""
    text = pattern.decode("utf-8", "replace")
    if len(text) > 128 or text.count("*") > 4:
        raise Refused("ERR a pattern with more than 4 stars is not simulated")
    return lambda key: fnmatch.fnmatchcase(key.decode("utf-8", "replace"), text)


def span(words: Words, size: int) -> slice:
    """``start stop`` of a list or sorted set, both included, negative from the end."""
    start, stop = integer(words[0]), integer(words[1])
    start = max(0, size + start) if start < 0 else start
    stop = size + stop if stop < 0 else stop
    return slice(start, max(start, stop + 1))
