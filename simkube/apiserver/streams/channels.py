"""The channel protocol of exec and attach over a WebSocket: one byte names the channel, the rest is its data.

``v4.channel.k8s.io`` ends with a Status on the error channel; ``v5.channel.k8s.io`` adds closing one channel; the
``base64`` variants carry text; ``channel.k8s.io``, or none, ends with a sentence when something went wrong.
Source: ``k8s.io/apimachinery/pkg/util/remotecommand`` and ``httpstream/wsstream``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from simkube.apimachinery.errors import StatusError, bad_request
from simkube.apiserver.streams.limits import MESSAGE, SEND_SECONDS
from simkube.apiserver.streams.upgrade import is_spdy

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
_NO_STATUS = ("", "channel.k8s.io", "base64.channel.k8s.io")
"""Before v4 a failure was a sentence, and success was silence."""


def is_websocket(request: web.Request) -> bool:
    """Whether the request asks to become a WebSocket."""
    return "websocket" in request.headers.get("Upgrade", "").lower()


def success() -> dict[str, Any]:
    """The Status of a command that ended well."""
    return {"metadata": {}, "status": "Success"}


def exited(code: int) -> dict[str, Any]:
    """The Status of a command that ended with ``code``."""
    if code == 0:
        return success()
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failed(message: str) -> dict[str, Any]:
    """The Status of a command that could not be run."""
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {message}",
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }


class Channels:
    """One accepted WebSocket."""

    def __init__(self, socket: web.WebSocketResponse, protocol: str) -> None:
        self._socket = socket
        self._base64 = "base64" in protocol
        self.protocol = protocol

    @classmethod
    async def accept(cls, request: web.Request) -> Channels:
        """Upgrade the connection; StatusError 400 when no protocol is shared."""
        asked = [one.strip() for one in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if one.strip()]
        shared = next((one for one in asked if one in PROTOCOLS), None if asked else "")
        if shared is None:
            raise bad_request(
                f"unable to upgrade: none of the protocols {asked} is served here, only {list(PROTOCOLS)}"
            )
        socket = web.WebSocketResponse(protocols=(shared,) if shared else (), max_msg_size=MESSAGE, compress=False)
        await socket.prepare(request)
        return cls(socket, shared)

    @property
    def response(self) -> web.StreamResponse:
        """What the HTTP handler returns."""
        return self._socket

    async def send(self, channel: int, data: bytes) -> None:
        """Send a piece; ConnectionError when the client is gone, TimeoutError when it does not read."""
        if self._base64:
            sending = self._socket.send_str(str(channel) + base64.b64encode(data).decode())
        else:
            sending = self._socket.send_bytes(bytes([channel]) + data)
        await asyncio.wait_for(sending, SEND_SECONDS)

    async def greet(self, channel: int) -> None:
        """An empty message on a channel tells the client that the stream is there."""
        await self.send(channel, b"")

    async def end(self, status: Mapping[str, Any]) -> None:
        """Send the final Status and close."""
        if self.protocol not in _NO_STATUS:
            await self.send(ERROR, json.dumps(status).encode())
        elif status.get("status") != "Success":
            await self.send(ERROR, str(status.get("message", "")).encode())
        await self._socket.close()

    async def receive(self) -> AsyncIterator[tuple[int, bytes]]:
        """What the client sends, until it goes away; a closed channel comes as ``(CLOSE, bytes([channel]))``."""
        async for message in self._socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            data = message.data.encode() if isinstance(message.data, str) else message.data
            if not data:
                continue
            if not self._base64:
                yield data[0], data[1:]
                continue
            try:
                yield data[0] - ord("0"), base64.b64decode(data[1:])
            except binascii.Error:
                return


def size_of(data: bytes) -> tuple[int, int] | None:
    """Columns and rows of a resize message; None for anything else."""
    try:
        size = json.loads(data)
        columns, rows = int(size["Width"]), int(size["Height"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return (columns, rows) if 0 < columns < 10_000 and 0 < rows < 10_000 else None


def need_upgrade(request: web.Request) -> None:
    """StatusError 400 for a request that asks for no upgrade, 403 for one that a page of another site makes.

    A browser shows a client certificate to whatever page asks for this address, and no other rule of its keeps pages
    from opening a WebSocket anywhere; it names the page's origin. Other clients name none, or this address.
    """
    if not is_websocket(request) and not is_spdy(request):
        raise bad_request("Upgrade request required")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        raise StatusError(403, "Forbidden", "unable to upgrade: this was asked for by a page of another origin")
