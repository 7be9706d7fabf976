"""The bytes of a request's body: read no further than the limit, and inflated no further either.

The server library hands bodies over as they were sent. What was compressed is inflated here, in small steps between
which others have their turn: after it is known who sends it, on the account of the cluster it is for, and never to more
than the limit. It refuses (413) more than that, (415) encodings other than gzip and deflate, and (400) what is neither.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from simkube.apimachinery.errors import StatusError, bad_request
from simkube.apiserver.http import body

STEP = 64 * 1024
"""Bytes that are read, and the most that are inflated, before others have their turn."""
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}

Pause = Callable[[], Awaitable[None]]


async def _breath() -> None:
    await asyncio.sleep(0)


def compressed(http: web.Request) -> bool:
    """Whether the body is sent compressed, so that its length says nothing."""
    return _encoding(http) not in ("", "identity")


def _encoding(http: web.Request) -> str:
    return http.headers.get("Content-Encoding", "").strip().lower()


async def read_body(http: web.Request, pause: Pause = _breath) -> bytes:
    """The whole body, inflated; StatusError 413 as soon as it is more than the limit, as sent or inflated."""
    if (http.content_length or 0) > body.MOST_BYTES:
        raise body.too_large()
    parts, size = [], 0
    sent = _within(http.content.iter_chunked(STEP))
    async for part in inflated(sent, _encoding(http), pause) if compressed(http) else sent:
        size += len(part)
        if size > body.MOST_BYTES:
            raise body.too_large()
        parts.append(part)
    return b"".join(parts)


async def _within(sent: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    size = 0
    async for part in sent:
        size += len(part)
        if size > body.MOST_BYTES:
            raise body.too_large()
        yield part


async def inflated(sent: AsyncIterator[bytes], encoding: str, pause: Pause) -> AsyncIterator[bytes]:
    """What ``sent`` inflates to, at most :data:`STEP` bytes at a time; StatusError 400 or 415."""
    if encoding not in _WINDOWS:
        raise StatusError(415, "UnsupportedMediaType", f"the body has the content encoding {encoding[:40]!r}; use gzip")
    inflater = zlib.decompressobj(_WINDOWS[encoding])
    try:
        async for part in sent:
            while part and not inflater.eof:
                yield inflater.decompress(part, STEP)
                part = inflater.unconsumed_tail
                await pause()
            if inflater.unused_data or (part and inflater.eof):
                raise bad_request(f"the body goes on after the end of its {encoding} data")
        if not inflater.eof:
            raise bad_request(f"the body ends within its {encoding} data")
    except zlib.error as error:
        raise bad_request(f"the body is not {encoding} data: {error}") from None
