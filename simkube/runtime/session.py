"""A command run in a container by ``exec``, and a hold on its first process by ``attach``, as the kubelet has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simkube.clock.clock import Future
from simkube.runtime import signals
from simkube.runtime.process import Process
from simkube.runtime.stdin import MOST_WAITING, Keyboard, PipeInput
from simkube.runtime.streams import OutputStream, Pipe, Stream
from simkube.runtime.terminal import Terminal

if TYPE_CHECKING:
    from simkube.runtime.container import SimContainer


class Session:
    """Keeps :class:`~simkube.runtime.cri.Exec`."""

    def __init__(
        self,
        container: SimContainer,
        argv: list[str],
        env: dict[str, str],
        cwd: str,
        output: Callable[[str, bytes], None],
        *,
        tty: bool,
    ) -> None:
        self.stdin: PipeInput | Keyboard
        self._terminal: Terminal | None = None
        fds: dict[int, Stream]
        if tty:
            self._terminal = Terminal(container, output)
            self.stdin = Keyboard(self._terminal)
            env = {**env, "TERM": env.get("TERM", "xterm")}
            fds = {0: self._terminal, 1: self._terminal.hold(), 2: self._terminal.hold()}
        else:
            pipe = Pipe(MOST_WAITING)
            self.stdin = PipeInput(pipe)
            fds = {0: pipe.reader, 1: OutputStream("stdout", output), 2: OutputStream("stderr", output)}
        self.process: Process = container.add_process(None, argv, env, cwd, fds)
        self.exited: Future[int] = self.process.exited

    def signal(self, number: int) -> None:
        """Send a signal to the command."""
        self.process.signal(number, outside=True)

    def resize(self, columns: int, rows: int) -> None:
        """The terminal has a new size."""
        if self._terminal is not None:
            self._terminal.size = (columns, rows)
            self.process.signal(signals.WINCH, outside=True)


class Attached:
    """Keeps :class:`~simkube.runtime.cri.Attachment`."""

    def __init__(self, container: SimContainer, output: Callable[[str, bytes], None]) -> None:
        self.stdin = container.stdin
        self._container = container
        self._output = output
        container.log.taps.append(output)

    def resize(self, columns: int, rows: int) -> None:
        """The terminal has a new size."""
        if isinstance(self.stdin, Keyboard):
            self.stdin.resize(columns, rows)
            self._container.signal(signals.WINCH)

    def detach(self) -> None:
        """Hear nothing more; the process goes on. A no-op when detached."""
        if self._output in self._container.log.taps:
            self._container.log.taps.remove(self._output)
