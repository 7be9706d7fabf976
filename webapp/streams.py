"""Live pages: a stream of server-sent events that says when something has changed.

A stream looks at the records, which every process writes, so it shows what the command does as well. Refuses to hold
more than :data:`MAX_STREAMS` connections, and more than :data:`MAX_OF_ONE` of one learner's: each keeps a thread, and
a page without one asks again by itself instead.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from typing import Any

MAX_STREAMS = 64
MAX_OF_ONE = 6
"""As many as a browser has connections to one site."""
FAST_SECONDS = 0.25
SLOW_SECONDS = 1.5
BEAT_SECONDS = 15.0
LIFE_SECONDS = 600.0
Look = Callable[[], tuple[str, bool, Callable[[], dict[str, Any]]]]
"""What there is now: its version, whether work is under way (asked more often then), and how to make the event."""


class Streams:
    """Counts the open streams of this process and writes them."""

    def __init__(self, limit: int = MAX_STREAMS, of_one: int = MAX_OF_ONE) -> None:
        self._left = limit
        self._of_one = of_one
        self._open: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._closing = threading.Event()

    def close(self) -> None:
        """End every stream soon; the process is about to stop."""
        self._closing.set()

    def open(self, look: Look, whose: str) -> _Stream | None:
        """A stream of what ``look`` finds whenever its version differs; None when there are too many."""
        with self._counting:
            if self._closing.is_set() or not self._left or self._open[whose] >= self._of_one:
                return None
            self._left -= 1
            self._open[whose] += 1
        return _Stream(self._write(look), lambda: self._give_back(whose))

    def _give_back(self, whose: str) -> None:
        with self._counting:
            self._left += 1
            self._open[whose] -= 1
            if not self._open[whose]:
                del self._open[whose]

    def _write(self, look: Look) -> Generator[str, None, None]:
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


class _Stream(Iterator[str]):
    """What is written, and whom to tell once when it is over: also when nobody ever read of it."""

    def __init__(self, written: Generator[str, None, None], over: Callable[[], None]) -> None:
        self._written = written
        self._over: Callable[[], None] | None = over

    def __next__(self) -> str:
        try:
            return next(self._written)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End it; a no-op the second time."""
        self._written.close()
        over, self._over = self._over, None
        if over is not None:
            over()
