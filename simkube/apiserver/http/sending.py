"""Large answers: made as they are taken, so many at a time, and given up when nobody is there to take them.

A list is encoded piece by piece while its reader reads. What it keeps meanwhile (the objects as they were when it was
asked for) is charged to the cluster and to the host, and 429 is the answer before either has no more. An answer ends
with its client, with its cluster, and after :data:`SECONDS`. It refuses (413) to make more than :data:`MOST_SHAPED`
bytes YAML or pretty, which can only be done with the whole.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

from aiohttp import web

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.http.negotiation import Accepted
from simkube.apiserver.http.responses import COMPRESS_FROM, LARGE, Shape, respond, shape_of
from simkube.apiserver.http.watch_stream import SLOW_SECONDS
from simkube.apiserver.streams.limits import Budget
from simkube.eventloop.fairness import Share

MOST_BYTES = 256 << 20
"""Bytes that the large answers of one cluster may keep, together."""
LEAST = 1 << 20
"""What any large answer is charged: buffers of the connection, and what it is made of."""
MOST_SHAPED = 16 << 20
"""Bytes of JSON of which an answer as YAML or pretty is made."""
SECONDS = 60.0
"""Wall-clock seconds in which a large answer must have been taken (``--request-timeout`` of the API server)."""
OWN, ALL = "this cluster's", "all clusters'"
Pieces = AsyncIterator[bytes | memoryview]


class Sending:
    """The large answers of one cluster; ``host`` is what those of all clusters may keep."""

    def __init__(self, share: Share, host: Budget) -> None:
        self._share = share
        self._host = host
        self._own = Budget(MOST_BYTES)
        self._under_way: dict[int, web.Request] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def end_all(self) -> None:
        """Give up all of them; their connections are cut."""
        for http in list(self._under_way.values()):
            _cut(http)

    async def answer(self, http: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        """Send a response that was made whole, if it is large; any other is returned for the server to send."""
        if not isinstance(response, web.Response) or response.prepared or http.method == "HEAD":
            return response
        body = response.body
        if not isinstance(body, bytes) or len(body) < LARGE:
            return response
        with self._noted(http), self._held(http, len(body)):
            return await self._send(http, response, self._cut_up(body), len(body))

    def refuse_debtors(self) -> None:
        """StatusError 429 while answers to writes, which are never refused afterwards, keep more than they may."""
        for budget, whose in ((self._own, OWN), (self._host, ALL)):
            if budget.owing:
                raise budget.refusal(whose)

    async def parts(
        self, http: web.Request, parts: Iterator[bytes], accept: Accepted, keeps: int, warnings: Sequence[str]
    ) -> web.StreamResponse:
        """Send JSON that is made piece by piece and keeps so many bytes until then; StatusError 413, 429."""
        with self._noted(http):
            first, ended = await self._first(http, parts)
            shape = shape_of(len(first), accept, http)
            if ended and len(first) < LARGE:
                return respond(shape.apply(first), shape, warnings=warnings)
            return await self._large(http, first, parts, shape, keeps, warnings)

    async def _large(
        self, http: web.Request, first: bytes, parts: Iterator[bytes], shape: Shape, keeps: int, warnings: Sequence[str]
    ) -> web.StreamResponse:
        with self._held(http, keeps):
            if shape.yaml or shape.pretty:
                made = first + await self._rest(http, parts, MOST_SHAPED - len(first))
                shaped = await self._share.thread(lambda: shape.apply(made))
                return await self._send(http, respond(b"", shape, warnings=warnings), self._cut_up(shaped))
            head = respond(b"", shape, warnings=warnings)
            return await self._send(http, head, self._stream(first, parts, shape))

    async def _pause(self, http: web.Request) -> None:
        """Let others have their turn; ConnectionError when meanwhile the client or the cluster went."""
        await self._share.pause()
        if http.transport is None or http.transport.is_closing():
            raise ConnectionResetError

    async def _first(self, http: web.Request, parts: Iterator[bytes]) -> tuple[bytes, bool]:
        """As much as says how it is to be sent, and whether that is all."""
        found: list[bytes] = []
        size = 0
        for part in parts:
            if found:
                await self._pause(http)
            found.append(part)
            size += len(part)
            if size >= COMPRESS_FROM:
                return b"".join(found), False
        return b"".join(found), True

    async def _rest(self, http: web.Request, parts: Iterator[bytes], most: int) -> bytes:
        found = []
        for part in parts:
            most -= len(part)
            if most < 0:
                message = f"an answer of more than {MOST_SHAPED >> 20} MiB is sent as compact JSON only (pretty=false)"
                raise StatusError(413, "RequestEntityTooLarge", message)
            found.append(part)
            await self._pause(http)
        return b"".join(found)

    async def _cut_up(self, body: bytes) -> Pieces:
        view = memoryview(body)
        while len(view) >= 2 * LARGE:  # a small rest is not worth a piece of its own
            yield view[:LARGE]
            view = view[LARGE:]
        yield view

    async def _stream(self, first: bytes, parts: Iterator[bytes], shape: Shape) -> Pieces:
        packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS) if shape.gzip else None
        part: bytes | None = first
        while part is not None:
            async for piece in self._cut_up(part):
                if packer is None:
                    yield piece
                elif packed := packer.compress(piece):
                    yield packed
                else:
                    await self._share.pause()
            part = next(parts, None)
        if packer is not None:
            yield packer.flush()

    async def _send(
        self,
        http: web.Request,
        head: web.Response,
        pieces: AsyncIterator[bytes | memoryview],
        length: int | None = None,
    ) -> web.StreamResponse:
        headers = head.headers.copy()
        headers.popall("Content-Length", None)
        response = web.StreamResponse(status=head.status, headers=headers)
        response.content_length = length
        try:
            async with asyncio.timeout(SECONDS):
                await response.prepare(http)
                async for piece in pieces:
                    await self._share.pause()
                    async with asyncio.timeout(SLOW_SECONDS):
                        await response.write(piece)
                await response.write_eof()
        except (TimeoutError, ConnectionError):
            _cut(http)
        return response

    @contextmanager
    def _noted(self, http: web.Request) -> Iterator[None]:
        self._under_way[id(http)] = http
        try:
            yield
        finally:
            del self._under_way[id(http)]

    @contextmanager
    def _held(self, http: web.Request, size: int) -> Iterator[None]:
        size, done = max(LEAST, size), http.method not in ("GET", "HEAD")
        if not done:
            self._share.refuse_growth()
        with self._own.held(size, OWN, owed=done), self._host.held(size, ALL, owed=done):
            yield


def _cut(http: web.Request) -> None:
    if http.transport is not None:
        http.transport.abort()
