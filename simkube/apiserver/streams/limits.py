"""How much streaming one cluster may have at a time, so that no user's floods or slow readers touch another's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from simkube.apimachinery.errors import StatusError

MOST = {"exec": 32, "log": 64, "portforward": 16, "proxy": 128}
"""Streams of one kind that one cluster may have open at once."""
BUFFER = 9 << 20
"""Bytes that may wait for one slow reader before its stream is ended: more than the largest file of a container."""
BUFFERS = 32 << 20
"""Bytes that may wait for all readers of one cluster."""
MESSAGE = 1 << 20
"""The largest WebSocket message that is read, in bytes."""
BODY = 3 << 20
"""The largest body of a proxied request, in bytes."""
SEND_SECONDS = 30.0
"""Wall-clock seconds a reader may let one piece of output wait."""


class Budget:
    """Bytes of which so many may be taken at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most

    def take(self, size: int) -> bool:
        """Whether ``size`` bytes could be had."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give(self, size: int) -> None:
        """Bytes that were taken are free again."""
        self._left += size

    @property
    def owing(self) -> bool:
        """Whether more is kept than may be."""
        return self._left < 0

    @contextmanager
    def held(self, size: int, whose: str, *, owed: bool = False) -> Iterator[None]:
        """Keep so many bytes, as many as there are in all at most; StatusError 429 when others have them.

        ``owed`` ones are always had: of an answer to what was done already.
        """
        size = min(size, self._most)
        if not owed and size > self._left:
            raise self.refusal(whose)
        self._left -= size
        try:
            yield
        finally:
            self.give(size)

    def refusal(self, whose: str) -> StatusError:
        """429 for large answers that cannot be kept."""
        message = f"{whose} large answers under way keep all of {self._most >> 20} MiB; read them and try again"
        return StatusError(429, "TooManyRequests", message, {"retryAfterSeconds": 1})


_budgets: WeakKeyDictionary[Any, Budget] = WeakKeyDictionary()
_open: WeakKeyDictionary[Any, Counter[str]] = WeakKeyDictionary()


def buffers(cluster: object) -> Budget:
    """What the cluster's streams may keep for their readers, together."""
    return _budgets.setdefault(cluster, Budget(BUFFERS))


@contextmanager
def slot(cluster: object, kind: str) -> Iterator[None]:
    """Hold one of the cluster's places for streams of a kind; StatusError 429 when all are taken."""
    taken = _open.setdefault(cluster, Counter())
    if taken[kind] >= MOST[kind]:
        raise StatusError(
            429,
            "TooManyRequests",
            f"this cluster has {MOST[kind]} {kind} streams open, which is the most it may have; end some and try again",
            {"retryAfterSeconds": 1},
        )
    taken[kind] += 1
    try:
        yield
    finally:
        taken[kind] -= 1
