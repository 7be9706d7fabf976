"""What a container wrote: lines with their times, as the container runtime keeps them for ``kubectl logs``.

Bounded like a rotated log file: at most :data:`MAX_LINES` lines and :data:`MAX_BYTES` characters, the oldest go
first; a line longer than :data:`MAX_LINE` is split as the runtime splits it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from simkube.clock.clock import Clock
from simkube.runtime.cri import LogLine

MAX_LINES = 10_000
MAX_BYTES = 512 * 1024
MAX_LINE = 16 * 1024

Handler = Callable[[LogLine], None]


class ContainerLog:
    """Keeps :class:`~simkube.runtime.cri.Log`. Bytes come in through :meth:`write`."""

    __slots__ = ("_clock", "_handlers", "_lines", "_partial", "_size", "changed", "taps")

    def __init__(self, clock: Clock, changed: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._lines: deque[LogLine] = deque()
        self._size = 0
        self._partial: dict[str, bytes] = {}
        self._handlers: list[Handler] = []
        self.changed = changed
        self.taps: list[Callable[[str, bytes], None]] = []

    def lines(self) -> list[LogLine]:
        """Every line kept, oldest first, an unfinished one included."""
        unfinished = [
            LogLine(self._clock.now(), stream, text.decode("utf-8", "replace"))
            for stream, text in self._partial.items()
            if text
        ]
        return [*self._lines, *unfinished]

    def follow(self, handler: Handler) -> Callable[[], None]:
        """Call ``handler`` for each new line until the returned call is made."""
        self._handlers.append(handler)

        def end() -> None:
            if handler in self._handlers:
                self._handlers.remove(handler)

        return end

    def write(self, stream: str, data: bytes) -> None:
        """Append output; whole lines become visible. ``taps`` get it as it is, terminals' carriage returns included."""
        for tap in list(self.taps):
            tap(stream, data)
        if b"\r\n" in data:
            data = data.replace(b"\r\n", b"\n")
        text = self._partial.get(stream, b"") + data
        *whole, rest = text.split(b"\n")
        for line in whole:
            self._split(stream, line)
        while len(rest) > MAX_LINE:
            self._add(stream, rest[:MAX_LINE])
            rest = rest[MAX_LINE:]
        self._partial[stream] = rest
        self.changed()

    def flush(self) -> None:
        """The container ended: what is unfinished becomes a line."""
        for stream, text in list(self._partial.items()):
            if text:
                self._add(stream, text)
        self._partial.clear()

    def _split(self, stream: str, line: bytes) -> None:
        for start in range(0, max(1, len(line)), MAX_LINE):
            self._add(stream, line[start : start + MAX_LINE])

    def _add(self, stream: str, text: bytes) -> None:
        line = LogLine(self._clock.now(), stream, text.decode("utf-8", "replace"))
        self._lines.append(line)
        self._size += len(line.text)
        while len(self._lines) > MAX_LINES or self._size > MAX_BYTES:
            self._size -= len(self._lines.popleft().text)
        for handler in list(self._handlers):
            handler(line)

    def dump(self, most: int = 1000) -> list[list[Any]]:
        """The last ``most`` lines as JSON."""
        return [[line.when, line.stream, line.text] for line in self.lines()[-most:]]

    def restore(self, lines: Iterable[list[Any]]) -> None:
        """Take back what :meth:`dump` gave."""
        for when, stream, text in lines:
            self._lines.append(LogLine(float(when), str(stream), str(text)))
            self._size += len(str(text))
