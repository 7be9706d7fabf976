"""TCP connections as bytes: two ends, each of which the other's writes arrive at.

Writes wait for room, reads for bytes; an end that is shut reads as ended at the other, one that is reset fails there.
Both wait on the simulated clock's futures, never on the host. There is no reordering and no TLS here; what is late or
lost on the way back to a client is :mod:`simkube.runtime.network.impairments`'.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from simkube.runtime.cri import NetworkError
from simkube.runtime.streams import BrokenPipe, Pipe, Stream

BUFFER = 16 * 1024
"""Bytes on their way in one direction, at most."""
CHUNK = 16 * 1024


class Socket:
    """One end of a connection. ``local`` and ``peer`` are addresses with their ports.

    ``reset`` and ``close`` may be called any number of times, by whoever holds the end.
    """

    def __init__(self, incoming: Pipe, outgoing: Pipe, local: str, peer: str) -> None:
        self._in = incoming
        self._out = outgoing
        self.local = local
        self.peer = peer
        self.broken = False
        self.late: Callable[[], Awaitable[None]] | None = None
        """Waited for before bytes are seen that have just arrived."""
        self._other: Socket | None = None
        self._buffer = bytearray()

    def connect(self, other: Socket) -> None:
        """Know the other end."""
        self._other = other

    @property
    def ended(self) -> bool:
        """Whether the other end is shut or has broken the connection, and nothing of it is left to read."""
        return self.broken or (self._in.write_closed and not self._in and not self._buffer)

    async def read(self, most: int = CHUNK) -> bytes:
        """At least one byte; b"" when the other end is shut. NetworkError ``reset``."""
        if self._buffer:
            data = bytes(self._buffer[:most])
            del self._buffer[:most]
            return data
        self._check()
        data = await self._in.take(most)
        if not data:
            self._check()
        if self.late is not None:
            await self.late()
        return data

    async def read_until(self, mark: bytes, most: int) -> bytes:
        """Everything up to and with ``mark``; b"" when the other end is shut before, or nothing came of it within
        ``most`` bytes."""
        data = bytearray()
        while mark not in data:
            part = await self.read()
            data += part
            if not part or (len(data) > most and mark not in data):
                return b""
        end = data.index(mark) + len(mark)
        self._buffer[:0] = data[end:]
        return bytes(data[:end])

    async def read_exactly(self, size: int) -> bytes:
        """So many bytes; fewer when the other end is shut before."""
        data = bytearray()
        while len(data) < size:
            part = await self.read(size - len(data))
            if not part:
                break
            data += part
        return bytes(data)

    async def write(self, data: bytes) -> None:
        """All of ``data``. NetworkError ``reset`` when nobody reads it."""
        self._check()
        try:
            await self._out.give(data)
        except BrokenPipe:
            raise NetworkError("reset", "Connection reset by peer") from None

    def shut(self) -> None:
        """Write nothing more; the other end may."""
        self._out.write_closed = True
        self._out.wake()

    def close(self) -> None:
        """Neither read nor write any more."""
        self.shut()
        self._in.read_closed = True
        self._in.wake()

    def reset(self) -> None:
        """Break the connection: the other end's reads and writes fail."""
        if self._other is not None:
            self._other.broken = True
        self.close()

    def abandon(self) -> None:
        """What the kernel does with the connections of a dead process: a reset when bytes wait unread, else a close."""
        if self._in or self._buffer:
            self.reset()
        else:
            self.close()

    def _check(self) -> None:
        if self.broken:
            raise NetworkError("reset", "Connection reset by peer")


def pair(client: str, server: str) -> tuple[Socket, Socket]:
    """The two ends of a new connection between two addresses (``10.0.0.1:80``): the client's and the server's."""
    there, back = Pipe(BUFFER), Pipe(BUFFER)
    ends = Socket(back, there, client, server), Socket(there, back, server, client)
    ends[0].connect(ends[1])
    ends[1].connect(ends[0])
    return ends


class SocketStream(Stream):
    """An end of a connection as a file description, for programs that read and write it as one."""

    def __init__(self, socket: Socket) -> None:
        super().__init__()
        self._socket = socket

    async def read(self, most: int = CHUNK) -> bytes:
        try:
            return await self._socket.read(most)
        except NetworkError:
            return b""

    async def write(self, data: bytes) -> None:
        try:
            await self._socket.write(data)
        except NetworkError:
            raise BrokenPipe from None

    def closed(self) -> None:
        self._socket.close()
