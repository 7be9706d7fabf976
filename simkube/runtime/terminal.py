"""A pseudo-terminal in canonical mode: echo, line editing with backspace, ^U, ^W, ^C, ^D, and newlines as a screen
wants them.

Escape sequences (arrow keys) are swallowed; raw mode, job control (^Z) and history are not simulated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simkube.clock.clock import Future
from simkube.runtime import signals
from simkube.runtime.streams import CHUNK, Stream

if TYPE_CHECKING:
    from simkube.runtime.container import SimContainer

MAX_LINE = 4096
MAX_WAITING = 64 * 1024


class Terminal(Stream):
    """Both ends of a terminal: the caller types with :meth:`type`, processes read and write."""

    terminal = True
    path = "/dev/pts/0"

    def __init__(self, container: SimContainer, output: Callable[[str, bytes], None]) -> None:
        super().__init__()
        self._container = container
        self._output = output
        self._line = bytearray()
        self._ready = bytearray()
        self._end = 0
        self._hung_up = False
        self._waiting: list[Future[None]] = []
        self._escape = ""
        self.size = (80, 24)

    # -- the caller's side ---------------------------------------------------------------------------------------

    def type(self, data: bytes) -> None:
        """Keys pressed."""
        for byte in data:
            self._key(byte)
        self._wake()

    def hang_up(self) -> None:
        """The caller is gone: end of input, and SIGHUP to what runs on it."""
        self._hung_up = True
        self._wake()
        self._signal(signals.HUP)

    def _key(self, byte: int) -> None:
        if self._escape:
            self._escape_key(byte)
        elif byte in (10, 13):
            self._echo(b"\n")
            if len(self._ready) + len(self._line) < MAX_WAITING:
                self._ready += self._line + b"\n"
            self._line.clear()
        elif byte in (8, 127):
            self._erase(1)
        elif byte == 3:
            self._echo(b"^C")
            self._line.clear()
            self._signal(signals.INT)
        elif byte == 4:
            self._ready += self._line
            self._end += not self._line
            self._line.clear()
        elif byte == 21:
            self._erase(len(self._line))
        elif byte == 23:
            kept = bytes(self._line).rstrip().rfind(b" ") + 1
            self._erase(len(self._line) - kept)
        elif byte == 27:
            self._escape = "esc"
        elif (byte >= 32 or byte == 9) and len(self._line) < MAX_LINE:
            self._line.append(byte)
            self._echo(bytes([byte]))

    def _escape_key(self, byte: int) -> None:
        if self._escape == "esc":
            self._escape = "csi" if byte in b"[O" else ""
        elif 64 <= byte <= 126:
            self._escape = ""

    def _erase(self, count: int) -> None:
        count = min(count, len(self._line))
        if count:
            del self._line[len(self._line) - count :]
            self._echo(b"\b \b" * count)

    def _echo(self, data: bytes) -> None:
        self._output("stdout", data.replace(b"\n", b"\r\n"))

    def _signal(self, number: int) -> None:
        for process in list(self._container.processes.values()):
            if not process.background and any(stream is self for stream in process.fds.values()):
                process.signal(number)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.set(None)

    # -- the processes' side ---------------------------------------------------------------------------------------

    async def read(self, most: int = CHUNK) -> bytes:
        """One line (or less) as typed; b"" after ^D on an empty line or a hang-up."""
        while not self._ready and not self._end and not self._hung_up:
            future: Future[None] = Future()
            self._waiting.append(future)
            await future
        if not self._ready:
            self._end = max(0, self._end - 1)
            return b""
        newline = self._ready.find(b"\n") + 1
        size = min(most, newline or len(self._ready))
        data = bytes(self._ready[:size])
        del self._ready[:size]
        return data

    async def write(self, data: bytes) -> None:
        """Output, newlines as carriage return and newline."""
        self._echo(data)
