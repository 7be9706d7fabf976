"""Redirections: file descriptors changed for one command and put back after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simkube.clock.clock import TimedOut, within
from simkube.runtime.cri import NetworkError
from simkube.runtime.network.network import Connection
from simkube.runtime.network.sockets import SocketStream
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Replace
from simkube.runtime.shell.error_messages import cannot_open
from simkube.runtime.shell.syntax import Redirection
from simkube.runtime.streams import CHUNK, BytesStream, Stream

if TYPE_CHECKING:
    from simkube.runtime.shell.interpreter import Interpreter


class Redirected:
    """``async with Redirected(shell, redirections) as r``: ``r.failed`` when one could not be made (it has been
    told).
    """

    def __init__(self, shell: Interpreter, redirections: list[Redirection], *, keep: bool = False) -> None:
        self._shell = shell
        self._redirections = redirections
        self._keep = keep
        self._saved: dict[int, Stream | None] = {}
        self.failed = False

    async def __aenter__(self) -> Redirected:
        for redirection in self._redirections:
            opened = len(self._shell.opened)
            done = await self._apply(redirection)
            self._shell.close_opened(opened)
            if not done:
                self.failed = True
                break
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._saved:
            self._keep = self._keep or isinstance(error, Replace)
            self._put_back()

    def _put_back(self) -> None:
        process = self._shell.process
        ended = process.exited.done
        for number, stream in self._saved.items():
            if (self._keep and not self.failed) or ended:
                if stream is not None:
                    stream.release()
            else:
                process.set_fd(number, stream)
        self._saved = {}

    async def _apply(self, redirection: Redirection) -> bool:
        shell, op = self._shell, redirection.op
        text = await shell.expander.text(redirection.word)
        stream: Stream | None
        try:
            if op in ("<<", "<<<"):
                text += "\n" if op == "<<<" else ""
                stream = BytesStream(text.encode("utf-8", "surrogateescape"))
            elif shell.dialect.bash and text.startswith("/dev/tcp/"):
                stream = await self._connect(text)
                if stream is None:
                    return False
            elif op in ("<&", ">&"):
                return await self._duplicate(redirection.fd, text)
            elif op == "<":
                stream = shell.process.open_read(text)
            else:
                stream = shell.process.open_write(text, append=op in (">>", "<>", "&>>"))
        except FileError as error:
            await shell.complain(cannot_open(shell.dialect, text, error, reading=op == "<"))
            return False
        if op in ("&>", "&>>"):
            self._install(2, stream.hold())
        return self._install(redirection.fd, stream)

    async def _connect(self, path: str) -> Stream | None:
        """``/dev/tcp/HOST/PORT``, which bash makes a connection of; None after saying why there is none."""
        shell = self._shell
        sandbox, clock = shell.process.container.sandbox, shell.process.container.clock
        host, _, port = path.removeprefix("/dev/tcp/").partition("/")
        number = int(port) if port.isdecimal() and len(port) < 6 else 0
        try:
            if not 0 < number < 65536:
                raise NetworkError("name", "Invalid argument")
            connection = await within(clock, 130.0, sandbox.network.connect(sandbox.ip, host, number, sandbox.config))
            return _ConnectionStream(connection, SocketStream(await connection.stream()))
        except (NetworkError, TimedOut) as error:
            timed_out = isinstance(error, TimedOut)
            if isinstance(error, NetworkError) and error.kind == "name":
                await shell.complain(f"{host}: {error if number == 0 else 'Name or service not known'}")
                await shell.complain(f"{path}: Invalid argument")
                return None
            why = "Connection timed out" if timed_out else str(error)
            await shell.complain(f"connect: {why}")
            await shell.complain(f"{path}: {why}")
            return None

    async def _duplicate(self, fd: int, text: str) -> bool:
        if text == "-":
            return self._install(fd, None)
        number = int(text) if text.isdecimal() and len(text) < 4 else -1
        source = self._shell.process.fds.get(number)
        if source is None:
            await self._shell.complain(f"{text}: Bad file descriptor" if number >= 0 else f"{text}: bad fd number")
            return False
        return self._install(fd, source.hold())

    def _install(self, number: int, stream: Stream | None) -> bool:
        fds = self._shell.process.fds
        old = fds.pop(number, None)
        if number in self._saved:
            if old is not None:
                old.release()
        else:
            self._saved[number] = old
        if stream is not None:
            fds[number] = stream
        return True


class _ConnectionStream(Stream):
    """A connection that ends when nobody holds it any more."""

    def __init__(self, connection: Connection, stream: SocketStream) -> None:
        super().__init__()
        self._connection = connection
        self._stream = stream

    async def read(self, most: int = CHUNK) -> bytes:
        return await self._stream.read(most)

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    def closed(self) -> None:
        self._connection.close()
