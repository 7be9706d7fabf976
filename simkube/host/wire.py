"""One client's connection between control and whoever answers it: a pair of sockets, plain bytes in, frames out.

Control has ended TLS by then. First comes who is there (address, client certificate), a line of JSON after its length;
then what the client sends, as it is. What goes back is in frames, so that control knows between requests whose turn it
is without understanding the answers: bytes for the client, that the connection is idle again, and notes.

It refuses to be reached by anybody but control: the sockets have no name, and are handed over one by one.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

FRAME = struct.Struct(">BI")
DATA, IDLE, NOTE = range(3)
"""Kinds of frames: bytes for the client; the answer is complete; a note for control, as JSON."""
TOGETHER = 16 * 1024
"""Bytes that wait, at most, for what else is sent in the same turn of the loop."""
_LENGTH = struct.Struct(">I")
_IDLE = FRAME.pack(IDLE, 0)


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: ``described`` is a client certificate as :mod:`ssl` tells it, ``der`` its bytes."""

    address: str
    described: dict[str, Any] | None = None
    der: bytes = b""

    def encode(self) -> bytes:
        """As it is sent ahead of everything else."""
        body = json.dumps([self.address, self.described, base64.b64encode(self.der).decode()]).encode()
        return _LENGTH.pack(len(body)) + body

    @classmethod
    def decode(cls, data: bytes) -> tuple[Peer, bytes] | None:
        """The peer and what comes after it; None while there is not enough."""
        if len(data) < _LENGTH.size:
            return None
        end = _LENGTH.size + _LENGTH.unpack_from(data)[0]
        if len(data) < end:
            return None
        address, described, der = json.loads(data[_LENGTH.size : end])
        return cls(address, described, base64.b64decode(der)), data[end:]

    def getpeercert(self, binary_form: bool = False) -> Any:
        """The certificate that was shown."""
        return self.der if binary_form else self.described


class Wire(asyncio.Transport):
    """The connection as a server sees it. It puts what is written in frames, and sends small ones together."""

    def __init__(self, inner: asyncio.Transport, peer: Peer) -> None:
        super().__init__()
        self._inner = inner
        self.peer = peer
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self._size = 0

    def idle(self) -> None:
        """The answer is complete, and nothing of a further request has been taken."""
        self._frame(_IDLE)

    def note(self, note: dict[str, Any]) -> None:
        """Tell control something, before anything that is written after this."""
        body = json.dumps(note).encode()
        self._frame(FRAME.pack(NOTE, len(body)) + body)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._frame(b"".join((FRAME.pack(DATA, len(data)), data)))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.write(b"".join(list_of_data))

    def _frame(self, frame: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(frame)
        self._size += len(frame)
        if self._size > TOGETHER:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            data = b"".join(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
            self._waiting.clear()
            self._size = 0
            if not self._inner.is_closing():
                self._inner.write(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "peername":
            return (self.peer.address, 0)
        if name == "peercert":
            return self.peer.described or default
        if name == "ssl_object" and self.peer.der:
            return self.peer
        return default

    def is_closing(self) -> bool:
        return self._inner.is_closing()

    def close(self) -> None:
        self._flush()
        self._inner.close()

    def abort(self) -> None:
        self._inner.abort()

    def pause_reading(self) -> None:
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._inner.resume_reading()

    def is_reading(self) -> bool:
        return self._inner.is_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._inner.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._size + self._inner.get_write_buffer_size()

    def can_write_eof(self) -> bool:
        return False


Opened = Callable[[Wire], asyncio.Protocol | None]


class Answering(asyncio.Protocol):
    """The end of whoever answers; ``opened`` makes what answers, None where there is no place for it."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._first = b""
        self._transport: asyncio.Transport | None = None
        self._protocol: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._protocol is not None:
            self._protocol.data_received(data)
            return
        self._first += data
        found = Peer.decode(self._first)
        if found is None or self._transport is None:
            return
        wire = Wire(self._transport, found[0])
        self._protocol, self._first = self._opened(wire), b""
        if self._protocol is None:
            self._transport.abort()
            return
        self._protocol.connection_made(wire)
        if found[1]:
            self._protocol.data_received(found[1])

    def eof_received(self) -> bool | None:
        return None if self._protocol is None else self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._protocol is not None:
            self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()


class Frames:
    """Takes apart what comes back, in pieces of any size."""

    def __init__(self, data: Callable[[bytes], None], idle: Callable[[], None], note: Callable[[Any], None]) -> None:
        self._data, self._idle, self._note = data, idle, note
        self._rest = b""
        self._left = 0
        """Bytes for the client that the frame which has begun still has."""

    def feed(self, data: bytes) -> None:
        """Handle what is complete; bytes for the client need not be."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        at, end = 0, len(data)
        while at < end:
            if self._left:
                piece = data[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                self._data(piece)
                continue
            if end - at < FRAME.size:
                break
            kind, size = FRAME.unpack_from(data, at)
            if kind == NOTE and end - at < FRAME.size + size:
                break
            at += FRAME.size
            if kind == DATA:
                self._left = size
            elif kind == IDLE:
                self._idle()
            else:
                self._note(json.loads(data[at : at + size]))
                at += size
        self._rest = data[at:]
