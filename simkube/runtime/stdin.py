"""The write ends of a process's standard input, as callers outside the cluster hold them
(:class:`~simkube.runtime.cri.Stdin`).
"""

from __future__ import annotations

from simkube.runtime.streams import Pipe
from simkube.runtime.terminal import Terminal

MOST_WAITING = 8 * 1024 * 1024
"""Bytes kept for a process that does not read; with more, its reads fail."""


class PipeInput:
    """Input through a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def write(self, data: bytes) -> None:
        """Give the process input."""
        self._pipe.offer(data)

    def close(self) -> None:
        """End of input."""
        self._pipe.write_closed = True
        self._pipe.wake()


class Keyboard:
    """Input typed at a terminal."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def write(self, data: bytes) -> None:
        """Press keys."""
        self._terminal.type(data)

    def close(self) -> None:
        """Hang up."""
        self._terminal.hang_up()

    def resize(self, columns: int, rows: int) -> None:
        """The screen has a new size."""
        self._terminal.size = (columns, rows)
