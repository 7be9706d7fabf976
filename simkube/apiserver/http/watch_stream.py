"""Watches over HTTP: one JSON line an event, until the time is over, the client leaves, or it reads too slowly."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import web

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.handlers.backend import Backend
from simkube.apiserver.http.encoding import dump
from simkube.apiserver.http.negotiation import Accepted
from simkube.apiserver.http.paths import Target
from simkube.apiserver.http.responses import Pause, Responses, metadata_of
from simkube.apiserver.http.watch import Kind, Watch, wanted
from simkube.apiserver.registry.request import integer
from simkube.apiserver.tables import presentation
from simkube.client.client import Obj

MOST_WATCHES = 600
"""How many watches one cluster serves at a time."""
BOOKMARK_SECONDS = 60.0
AT_ONCE = 50
"""How many events are encoded before others have their turn."""
SLOW_SECONDS = 30.0
"""A reader that takes nothing for so long, while something waits, is cut off."""


class Watches:
    """Those that one cluster serves. ``pause`` gives others their turn."""

    def __init__(self, server: Backend, pause: Pause) -> None:
        self._server = server
        self._pause = pause
        self._ends: set[Callable[[], None]] = set()

    def __len__(self) -> int:
        return len(self._ends)

    def end_all(self) -> None:
        """End all of them."""
        for end in list(self._ends):
            end()

    async def serve(
        self, http: web.Request, target: Target, accept: Accepted, answers: Responses
    ) -> web.StreamResponse:
        """Serve one watch to its end."""
        what = wanted(target.resource, target.namespace, http.query, target.name)
        seconds = integer(http.query.get("timeoutSeconds"))
        if len(self._ends) >= MOST_WATCHES:
            details = {"retryAfterSeconds": 5}
            message = f"this cluster serves {MOST_WATCHES} watches at a time; end some first"
            raise StatusError(429, "TooManyRequests", message, details)
        some = asyncio.Event()
        watch = Watch(self._server.store, what, some.set)

        def end() -> None:
            watch.ended = True
            some.set()

        self._ends.add(end)
        if target.resource.custom is not None:
            target.resource.custom.ends.add(end)
        try:
            lines = _Lines(self._server, http, target, accept, answers)
            return await _stream(http, watch, some, lines, seconds or random.uniform(1800, 3600), self._pause)  # noqa: S311
        finally:
            self._ends.discard(end)
            if target.resource.custom is not None:
                target.resource.custom.ends.discard(end)
            watch.close()


async def _stream(
    http: web.Request, watch: Watch, some: asyncio.Event, lines: _Lines, seconds: float, pause: Pause
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": lines.content_type, "Cache-Control": "no-cache, private"})
    response.enable_chunked_encoding()
    await response.prepare(http)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        some.clear()
        taken = watch.take(AT_ONCE)
        if taken:
            data = b"".join(lines.line(kind, obj) for kind, obj in taken)
            try:
                async with asyncio.timeout(SLOW_SECONDS):
                    await response.write(data)
            except (TimeoutError, ConnectionError):
                if http.transport is not None:
                    http.transport.abort()
                return response
            await pause()
            continue
        left = deadline - loop.time()
        if watch.ended or left <= 0:
            break
        if http.transport is None or http.transport.is_closing():
            return response
        if not await _wait(some, min(left, BOOKMARK_SECONDS)) and left > BOOKMARK_SECONDS:
            watch.bookmark()
    with suppress(ConnectionError):  # nobody is there any more to be told of the end
        await response.write_eof()
    return response


async def _wait(some: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await some.wait()
    except TimeoutError:
        return False
    return True


class _Lines:
    """Encodes events in the accepted form. Only the first table of a watch has columns."""

    def __init__(
        self, server: Backend, http: web.Request, target: Target, accept: Accepted, answers: Responses
    ) -> None:
        self._clock = server.clock
        self._headers = http.headers
        self._reading = server.readings.get(target.resource.storage)
        self._resource = target.resource
        self._accept = accept
        self._include = http.query.get("includeObject", "")
        self._answers = answers
        self._first = True
        self.content_type = "application/json"

    def line(self, kind: Kind, obj: Obj) -> bytes:
        """One event as a line."""
        if self._reading is not None and kind in ("ADDED", "MODIFIED"):
            obj = self._reading(obj)
        moved = presentation.shift(self._headers, self._clock)
        obj = presentation.shown(obj, moved, custom=self._resource.custom is not None)
        if self._accept.form == "object" or kind == "ERROR":
            return self._answers.encoder.event(kind, obj)
        return dump({"type": kind, "object": self._shown(kind, obj, moved)}) + b"\n"

    def _shown(self, kind: Kind, obj: Obj, moved: float) -> Any:
        if self._accept.form == "metadata":
            return metadata_of(obj)
        table = self._answers.table(
            self._resource, [obj] if kind != "BOOKMARK" else [], self._include, self._clock.now() + moved
        )
        table["metadata"] = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        if not self._first:
            table.pop("columnDefinitions", None)
            table["columnDefinitions"] = None
        self._first = False
        return table
