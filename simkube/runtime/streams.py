"""What a process's file descriptors lead to: pipes, files, devices, the container's log, a caller's callback.

Every stream counts its holders; a pipe whose writers are gone reads as ended, one whose readers are gone breaks.
Reads and writes wait on the simulated clock's futures, never on the host.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from simkube.clock.clock import Future
from simkube.runtime.nodes import Device, File, FileError, Node, Quota

PIPE_SIZE = 64 * 1024
CHUNK = 32 * 1024


class BrokenPipe(Exception):
    """Written to a pipe that nobody reads: ends a process as SIGPIPE does (exit code 141)."""


class Stream:
    """An open file description. Reading gives b"" at the end."""

    terminal = False
    path = ""

    def __init__(self) -> None:
        self._holders = 1

    def hold(self) -> Stream:
        """One more file descriptor for it."""
        self._holders += 1
        return self

    def release(self) -> None:
        """One file descriptor less; the last one closes it."""
        self._holders -= 1
        if self._holders == 0:
            self.closed()

    def closed(self) -> None:
        """Nobody holds it any more."""

    async def read(self, most: int = CHUNK) -> bytes:
        """At least one byte, at most ``most``; b"" at the end. FileError EBADF when it is not for reading."""
        raise FileError(errno.EBADF)

    async def write(self, data: bytes) -> None:
        """All of ``data``. :class:`BrokenPipe`, FileError EBADF, ENOSPC."""
        raise FileError(errno.EBADF)


class Pipe:
    """Bytes on their way from one process to another."""

    def __init__(self, size: int = PIPE_SIZE) -> None:
        self._size = size
        self._data = bytearray()
        self._changed: list[Future[None]] = []
        self.reader = PipeReader(self)
        self.writer = PipeWriter(self)
        self.read_closed = False
        self.overflowed = False
        self.write_closed = False

    def __len__(self) -> int:
        return len(self._data)

    def wake(self) -> None:
        """Something changed for whoever waits."""
        waiting, self._changed = self._changed, []
        for future in waiting:
            future.set(None)

    def _wait(self) -> Future[None]:
        future: Future[None] = Future()
        self._changed.append(future)
        return future

    async def take(self, most: int) -> bytes:
        """What there is, up to ``most``; waits for it."""
        while not self._data and not self.write_closed:
            await self._wait()
        data = bytes(self._data[:most])
        del self._data[:most]
        if data:
            self.wake()
        elif self.overflowed:
            raise FileError(errno.EIO)
        return data

    async def give(self, data: bytes) -> None:
        """Put all of ``data``; waits for room."""
        view = memoryview(data)
        while len(view):
            if self.read_closed:
                raise BrokenPipe
            room = self._size - len(self._data)
            if room <= 0:
                await self._wait()
                continue
            self._data += view[:room]
            view = view[room:]
            self.wake()

    def offer(self, data: bytes) -> None:
        """Put data at once, for callers outside the cluster, who do not wait; too much of it ends in an EIO of the
        reader.
        """
        if len(self._data) + len(data) > self._size:
            self.overflowed = self.write_closed = True
        elif not self.write_closed:
            self._data += data
        self.wake()


class PipeReader(Stream):
    """The end one reads from."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self._pipe = pipe

    async def read(self, most: int = CHUNK) -> bytes:
        return await self._pipe.take(most)

    def closed(self) -> None:
        self._pipe.read_closed = True
        self._pipe.wake()


class PipeWriter(Stream):
    """The end one writes to."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self._pipe = pipe

    async def write(self, data: bytes) -> None:
        await self._pipe.give(data)

    def closed(self) -> None:
        self._pipe.write_closed = True
        self._pipe.wake()


class NullStream(Stream):
    """/dev/null."""

    path = "/dev/null"

    async def read(self, most: int = CHUNK) -> bytes:
        return b""

    async def write(self, data: bytes) -> None:
        return


class DeviceStream(Stream):
    """/dev/zero, /dev/full, /dev/urandom and the files of /proc."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self._device = device
        self._text: bytes | None = None
        self.endless = device.kind in ("zero", "full")

    async def read(self, most: int = CHUNK) -> bytes:
        kind = self._device.kind
        if kind in ("zero", "full"):
            return bytes(most)
        if self._text is None:
            self._text = self._device.read() if self._device.read is not None else b""
        data, self._text = self._text[:most], self._text[most:]
        if kind == "random" and not self._text:
            self._text = None
        return data

    async def write(self, data: bytes) -> None:
        if self._device.kind == "full":
            raise FileError(errno.ENOSPC)
        if self._device.kind == "text":
            raise FileError(errno.EACCES)


class FileStream(Stream):
    """A file in memory, with a position."""

    def __init__(self, file: File, quota: Quota, now: Callable[[], float], *, append: bool = False) -> None:
        super().__init__()
        self.file = file
        self._quota = quota
        self._now = now
        self._append = append
        self.position = 0

    async def read(self, most: int = CHUNK) -> bytes:
        data = bytes(self.file.data[self.position : self.position + most])
        self.position += len(data)
        return data

    async def write(self, data: bytes) -> None:
        content = self.file.data
        if self._append:
            self.position = len(content)
        end = self.position + len(data)
        if end > len(content):
            self._quota.charge(end - len(content))
        if self.position > len(content):
            content += bytes(self.position - len(content))
        content[self.position : end] = data
        self.position = end
        self.file.mtime = self._now()
        self._quota.version += 1


class BytesStream(Stream):
    """Reads what it was given: here-documents."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data

    async def read(self, most: int = CHUNK) -> bytes:
        data, self._data = self._data[:most], self._data[most:]
        return data


class OutputStream(Stream):
    """Hands every write to a callable: a container's log, or somebody outside the cluster."""

    def __init__(self, name: str, output: Callable[[str, bytes], None]) -> None:
        super().__init__()
        self._name = name
        self._output = output

    async def write(self, data: bytes) -> None:
        self._output(self._name, data)


class Collector(Stream):
    """Keeps what is written, up to ``limit`` bytes: command substitution."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self.data = bytearray()

    async def write(self, data: bytes) -> None:
        if len(self.data) + len(data) > self._limit:
            raise FileError(errno.ENOMEM)
        self.data += data


def open_node(node: Node, quota: Quota, now: Callable[[], float], *, append: bool = False) -> Stream:
    """A stream for a resolved node; FileError EISDIR for a directory."""
    if isinstance(node, Device):
        return NullStream() if node.kind == "null" else DeviceStream(node)
    if isinstance(node, File):
        return FileStream(node, quota, now, append=append)
    raise FileError(errno.EISDIR)
