"""Connections that stop being HTTP: bytes both ways, over a WebSocket's messages or as they are after a 101 (SPDY).

What comes is kept until somebody takes it; while too much waits, the client is read no further. No WebSocket asks its
client for signs of life: on loopback the kernel tells when one is gone, and the library's timer for that would hold
what has ended, with all of its cluster, for a minute.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Protocol, Self

from aiohttp import WSMsgType, web

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.streams.limits import MESSAGE, SEND_SECONDS

MOST_WAITING = 512 * 1024
"""Bytes of one client that may wait before it is read no further."""
SPDY = "SPDY/3.1"
VERSIONS = "X-Stream-Protocol-Version"


class Wire(Protocol):
    """An upgraded connection."""

    @property
    def response(self) -> web.StreamResponse:
        """What the HTTP handler returns."""

    async def send(self, data: bytes) -> None:
        """Send; ConnectionError when the client is gone, TimeoutError when it does not read."""

    async def receive(self) -> bytes | None:
        """What has come; None when the client is gone."""

    async def close(self) -> None:
        """End it; a no-op when ended."""


class Messages:
    """Over a WebSocket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    @classmethod
    async def accept(cls, request: web.Request, protocols: tuple[str, ...]) -> Self:
        """Upgrade the connection to one of these protocols; () for a client that asks for none."""
        socket = web.WebSocketResponse(protocols=protocols, max_msg_size=MESSAGE, compress=False)
        await socket.prepare(request)
        return cls(socket)

    @property
    def response(self) -> web.StreamResponse:
        """What the HTTP handler returns."""
        return self._socket

    async def send(self, data: bytes) -> None:
        """Send one message."""
        await asyncio.wait_for(self._socket.send_bytes(data), SEND_SECONDS)

    async def receive(self) -> bytes | None:
        """The next message."""
        message = await self._socket.receive()
        if message.type is WSMsgType.BINARY:
            return bytes(message.data)
        return message.data.encode() if message.type is WSMsgType.TEXT else None

    async def close(self) -> None:
        """End it."""
        await self._socket.close()


class Text(Messages):
    """Over a WebSocket in text: a digit for the channel, and base64 (``base64.channel.k8s.io``)."""

    async def send(self, data: bytes) -> None:
        """Send one message."""
        text = chr(ord("0") + data[0]) + base64.b64encode(data[1:]).decode()
        await asyncio.wait_for(self._socket.send_str(text), SEND_SECONDS)

    async def receive(self) -> bytes | None:
        """The next message."""
        data = await super().receive()
        if not data:
            return data
        try:
            return bytes([(data[0] - ord("0")) % 256]) + base64.b64decode(data[1:])
        except binascii.Error:
            return None


class Raw:
    """The connection itself, from the answer 101 on."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request = request
        self._response = response
        self._data = bytearray()
        self._come = asyncio.Event()
        self._gone = False
        self._paused = False

    @classmethod
    async def accept(cls, request: web.Request, protocol: str) -> Raw:
        """Upgrade to SPDY with this protocol of streams."""
        headers = {"Connection": "Upgrade", "Upgrade": SPDY, VERSIONS: protocol}
        response = web.StreamResponse(status=101, headers=headers)
        response.force_close()
        made = cls(request, response)
        request.protocol.set_parser(made)  # type: ignore[arg-type]  # asked for no more than feed_data and feed_eof
        await response.prepare(request)
        return made

    @property
    def response(self) -> web.StreamResponse:
        """What the HTTP handler returns."""
        return self._response

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Bytes came (called by the server library)."""
        self._data += data
        self._come.set()
        transport = self._request.transport
        if len(self._data) > MOST_WAITING and not self._paused and transport is not None:
            self._paused = True
            transport.pause_reading()
        return False, b""

    def feed_eof(self) -> None:
        """The client is gone (called by the server library)."""
        self._gone = True
        self._come.set()

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        if self._gone or self._request.transport is None:
            raise ConnectionResetError("the client is gone")
        await asyncio.wait_for(self._response.write(data), SEND_SECONDS)

    async def receive(self) -> bytes | None:
        """What has come since."""
        while not self._data:
            if self._gone:
                return None
            self._come.clear()
            await self._come.wait()
        data = bytes(self._data)
        self._data.clear()
        transport = self._request.transport
        if self._paused and transport is not None:
            self._paused = False
            transport.resume_reading()
        return data

    async def close(self) -> None:
        """Nothing more is sent or taken; the server closes the connection when its handler returns."""
        self._gone = True
        self._come.set()


def is_spdy(request: web.Request) -> bool:
    """Whether the request asks to become SPDY."""
    return "spdy" in request.headers.get("Upgrade", "").lower()


def chosen(request: web.Request, known: tuple[str, ...]) -> str:
    """The first protocol of streams that a SPDY client asks for and that is served; StatusError 403 without one."""
    given = [one.strip() for line in request.headers.getall(VERSIONS, []) for one in line.split(",") if one.strip()]
    found = next((one for one in given if one in known), None)
    if found is None:
        why = f"client supports [{' '.join(given)}], server accepts [{' '.join(known)}]"
        raise StatusError(403, "Forbidden", f"unable to upgrade: unable to negotiate protocol: {why}")
    return found
