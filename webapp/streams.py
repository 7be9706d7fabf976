"""Live pages: a stream of server-sent events that says when something has changed.

A stream looks at the records, which every process writes, so it shows what the command does as well. Refuses to hold
more than :data:`MAX_STREAMS` connections: each keeps a thread, and a page without one asks again by itself instead.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

MAX_STREAMS = 64
FAST_SECONDS = 0.25
SLOW_SECONDS = 1.5
BEAT_SECONDS = 15.0
LIFE_SECONDS = 600.0
Look = Callable[[], tuple[str, bool, Callable[[], dict[str, Any]]]]
"""What there is now: its version, whether work is under way (asked more often then), and how to make the event."""


class Streams:
    """Counts the open streams of this process and writes them."""

    def __init__(self, limit: int = MAX_STREAMS) -> None:
        self._slots = threading.BoundedSemaphore(limit)
        self._closing = threading.Event()

    def close(self) -> None:
        """End every stream soon; the process is about to stop."""
        self._closing.set()

    def open(self, look: Look) -> Iterator[str] | None:
        """A stream of what ``look`` finds whenever its version differs, or None when there are too many."""
        if self._closing.is_set() or not self._slots.acquire(blocking=False):
            return None
        return self._write(look)

    def _write(self, look: Look) -> Iterator[str]:
        try:
            yield "retry: 2000\n\n"
            shown: str | None = None
            began = spoke = time.monotonic()
            while time.monotonic() - began < LIFE_SECONDS and not self._closing.is_set():
                version, busy, data = look()
                if version != shown:
                    shown, spoke = version, time.monotonic()
                    yield f"event: change\ndata: {json.dumps(data())}\n\n"
                elif time.monotonic() - spoke > BEAT_SECONDS:
                    spoke = time.monotonic()
                    yield ": still here\n\n"
                self._closing.wait(FAST_SECONDS if busy else SLOW_SECONDS)
        finally:
            self._slots.release()
