"""How much streaming one cluster may have at a time, so that no learner's floods or slow readers touch another's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from simkube.errors import StatusError

MOST = {"exec": 32, "log": 64, "proxy": 128}
"""Streams of one kind that one cluster may have open at once."""
BUFFER = 1 << 20
"""Bytes that may wait for a slow reader before its stream is ended."""
MESSAGE = 1 << 20
"""The largest WebSocket message that is read, in bytes."""
BODY = 3 << 20
"""The largest body of a proxied request, in bytes."""
SEND_SECONDS = 30.0
"""Wall-clock seconds a reader may let one piece of output wait."""

_open: WeakKeyDictionary[Any, Counter[str]] = WeakKeyDictionary()


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
