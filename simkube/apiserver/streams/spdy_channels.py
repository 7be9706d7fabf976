"""exec and attach over SPDY, as kubectl before 1.31 speaks it: one stream for each of stdin, stdout, stderr, errors and
sizes of the terminal, all opened by the client.

Only ``v4.channel.k8s.io``, which every kubectl since 1.5 offers: the end is a Status on the stream for errors. Sources:
``k8s.io/apimachinery/pkg/util/remotecommand``, ``kubelet/pkg/cri/streaming/remotecommand/httpstream.go``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from aiohttp import web

from simkube.apiserver.streams import spdy
from simkube.apiserver.streams.channels import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT
from simkube.apiserver.streams.upgrade import Raw, chosen

PROTOCOLS = ("v4.channel.k8s.io",)
OPEN_SECONDS = 30.0
"""Wall-clock seconds until the client must have opened its streams."""
MOST_SIZE = 1024
"""Bytes of a terminal's size that are read at most."""
_PIECE = 256 * 1024
_TYPES = {"error": ERROR, "stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "resize": RESIZE}


class SPDYChannels:
    """One accepted connection; see :class:`~simkube.apiserver.streams.channels.Channels`."""

    def __init__(self, wire: Raw, wanted: Iterable[int]) -> None:
        self._wire = wire
        self._wanted = frozenset(wanted)
        self._reader = spdy.Reader()
        self._writer = spdy.Writer()
        self._streams: dict[int, int] = {}
        self._sizes = ""
        self._early: list[spdy.Event] = []

    @classmethod
    async def accept(cls, request: web.Request, wanted: Iterable[int]) -> SPDYChannels:
        """Upgrade the connection, for these channels; StatusError 403 when no protocol is shared."""
        return cls(await Raw.accept(request, chosen(request, PROTOCOLS)), wanted)

    async def greet(self, channel: int) -> None:  # noqa: ARG002 - the answers to its streams tell the client
        """Wait for the client's streams; ConnectionError, TimeoutError."""
        await asyncio.wait_for(self._opened(), OPEN_SECONDS)

    async def _opened(self) -> None:
        while self._wanted - set(self._streams):
            data = await self._wire.receive()
            if data is None:
                raise ConnectionResetError("the client is gone")
            for event in self._events(data):
                if isinstance(event, spdy.Opened):
                    await self._open(event)
                elif isinstance(event, spdy.Reply):
                    await self._wire.send(event.frame)
                else:
                    self._early.append(event)

    def _events(self, data: bytes) -> list[spdy.Event]:
        try:
            return list(self._reader.feed(data))
        except spdy.SPDYError as error:
            raise ConnectionResetError(str(error)) from error

    async def _open(self, event: spdy.Opened) -> None:
        headers = {name.lower(): value for name, value in event.headers.items()}
        channel = _TYPES.get(headers.get("streamtype", ""))
        if channel is None or channel not in self._wanted or channel in self._streams:
            await self._wire.send(self._writer.refuse(event.stream))
            return
        self._streams[channel] = event.stream
        await self._wire.send(self._writer.reply(event.stream))

    @property
    def response(self) -> web.StreamResponse:
        """What the HTTP handler returns."""
        return self._wire.response

    async def send(self, channel: int, data: bytes) -> None:
        """Send a piece; ConnectionError when the client is gone, TimeoutError when it does not read."""
        stream = self._streams.get(channel)
        if stream is None:
            return
        for start in range(0, len(data), _PIECE):
            await self._wire.send(self._writer.data(stream, data[start : start + _PIECE]))

    async def end(self, status: Mapping[str, Any]) -> None:
        """Send the final Status, end every stream, and close."""
        await self.send(ERROR, json.dumps(status).encode())
        for stream in self._streams.values():
            await self._wire.send(self._writer.data(stream, b"", last=True))
        await self._wire.close()

    async def receive(self) -> AsyncIterator[tuple[int, bytes]]:
        """What the client sends, until it goes away; a closed channel comes as ``(CLOSE, bytes([channel]))``."""
        numbers = {stream: channel for channel, stream in self._streams.items()}
        events, self._early = self._early, []
        while True:
            for event in events:
                if isinstance(event, spdy.Reply):
                    await self._wire.send(event.frame)
                elif isinstance(event, spdy.Opened):
                    await self._wire.send(self._writer.refuse(event.stream))
                elif isinstance(event, spdy.Data) and event.stream in numbers:
                    for piece in self._pieces(numbers[event.stream], event):
                        yield piece
            data = await self._wire.receive()
            if data is None:
                return
            events = self._events(data)

    def _pieces(self, channel: int, event: spdy.Data) -> list[tuple[int, bytes]]:
        if channel == RESIZE:
            return [(RESIZE, size.encode()) for size in self._whole(event.data)]
        found = [(channel, event.data)] if event.data else []
        return [*found, (CLOSE, bytes([channel]))] if event.last else found

    def _whole(self, data: bytes) -> list[str]:
        """The sizes that have come whole: JSON objects one after the other."""
        parts = (self._sizes + data.decode("utf-8", "replace")).split("}")
        self._sizes = parts.pop()
        if len(self._sizes) > MOST_SIZE:
            raise ConnectionResetError("a size of a terminal that does not end")
        return [f"{part}}}" for part in parts]
