"""SPDY/3.1 frames, as ``kubectl port-forward`` sends them through a WebSocket: several streams on one connection.

Only what that needs (``moby/spdystream``): streams opened by the client, data, resets, pings. Flow control windows are
not kept by either side there. Frames and header blocks are bounded. It does no input or output.
Source: https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_NAMES = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_MORE_WORDS = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = (
    b"".join(struct.pack("!I", len(word)) + word.encode() for word in (*_NAMES.split(), *_MORE_WORDS)) + _TEXT.encode()
)
"""What headers are compressed with."""

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 1
FRAME = 1 << 20
"""The largest frame that is read, in bytes."""
BLOCK = 16 * 1024
"""The largest header block, in bytes."""


class SPDYError(Exception):
    """What came is not SPDY/3.1, or more of it than is read."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The client opens a stream."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    last: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a stream; ``last`` when the client sends no more."""

    stream: int
    data: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """The client gives a stream up."""

    stream: int


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes to be sent back as they are."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Gone:
    """The client opens no more streams."""


Event = Opened | Data | Reset | Reply | Gone


class Reader:
    """The client's bytes, in whatever pieces they come, to events."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Event]:
        """What has come whole. :class:`SPDYError`."""
        self._data += data
        while len(self._data) >= 8:
            size = int.from_bytes(self._data[5:8])
            if size > FRAME:
                raise SPDYError(f"a frame of {size} bytes")
            if len(self._data) < 8 + size:
                return
            head, body = bytes(self._data[:8]), bytes(self._data[8 : 8 + size])
            del self._data[: 8 + size]
            event = self._frame(head, body)
            if event is not None:
                yield event

    def _frame(self, head: bytes, body: bytes) -> Event | None:
        first, flags = int.from_bytes(head[:4]), head[4]
        if not first >> 31:
            return Data(first, body, bool(flags & FIN))
        if (first >> 16) & 0x7FFF != 3:
            raise SPDYError("a version other than 3")
        return self._control(first & 0xFFFF, flags, body)

    def _control(self, kind: int, flags: int, body: bytes) -> Event | None:
        if kind == PING:
            return Reply(_control(PING, 0, body[:4]))
        if kind == GOAWAY:
            return Gone()
        if kind not in (SYN_STREAM, RST_STREAM, HEADERS):
            return None
        if len(body) < (10 if kind == SYN_STREAM else 4):
            raise SPDYError("a frame that is too short")
        stream = int.from_bytes(body[:4]) & 0x7FFFFFFF
        if kind == RST_STREAM:
            return Reset(stream)
        headers = self._headers(body[10 if kind == SYN_STREAM else 4 :])
        return Opened(stream, headers, bool(flags & FIN)) if kind == SYN_STREAM else None

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(block, BLOCK)
        except zlib.error as error:
            raise SPDYError(str(error)) from error
        if self._inflate.unconsumed_tail:
            raise SPDYError("headers that are too long")
        at = 4
        texts: list[str] = []
        for _ in range(2 * int.from_bytes(plain[:4])):
            size = int.from_bytes(plain[at : at + 4])
            if at + 4 + size > len(plain):
                raise SPDYError("headers that are cut")
            texts.append(plain[at + 4 : at + 4 + size].decode("utf-8", "replace"))
            at += 4 + size
        return dict(zip(texts[::2], texts[1::2], strict=True))


class Writer:
    """Frames to the client."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def reply(self, stream: int) -> bytes:
        """A stream is accepted."""
        block = self._deflate.compress(struct.pack("!I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control(SYN_REPLY, 0, struct.pack("!I", stream) + block)

    @staticmethod
    def data(stream: int, data: bytes, *, last: bool = False) -> bytes:
        """Bytes of a stream; ``last`` when no more come."""
        return struct.pack("!I", stream) + bytes([FIN if last else 0]) + len(data).to_bytes(3) + data

    @staticmethod
    def refuse(stream: int) -> bytes:
        """A stream is not accepted (REFUSED_STREAM)."""
        return _control(RST_STREAM, 0, struct.pack("!II", stream, 3))


def _control(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack("!HHB", 0x8003, kind, flags) + len(body).to_bytes(3) + body
