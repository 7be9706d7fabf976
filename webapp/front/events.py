"""Live pages as server-sent events: many idle connections, one look at the records for all of them.

Every moment one query asks for the stamps of all labs that somebody has open; only where a stamp differs is the page's
fragment made anew. Refuses to write to who does not read, and to go on without end: a browser connects again by itself,
and is then asked who it is again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from labs.session import Stamp
from webapp.front.wsgi import Headers
from webapp.streams import Subject, Subscription

FAST_SECONDS = 0.3
SLOW_SECONDS = 1.5
BEAT_SECONDS = 25.0
"""Between two words to a page of which nothing changes."""
LIFE_SECONDS = 600.0
WRITE_SECONDS = 30.0
THREADS = 2
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
log = logging.getLogger("kindling.site")


class Stream:
    """One live page. ``changed`` is set when it is to be looked at."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.changed = asyncio.Event()
        self.over = False
        self.shown = ""

    def end(self) -> None:
        """It is over: its client is gone, or this process is about to be."""
        self.over = True
        self.changed.set()


class Events:
    """Every live page of this process. ``stamps`` looks at the records, in a thread; so does ``lasting``, which says of
    the sign-ins that have a page open which there still are."""

    def __init__(
        self,
        stamps: Callable[[Collection[Subject]], Mapping[Subject, Stamp]],
        lasting: Callable[[Collection[int]], Collection[int]],
    ) -> None:
        self._stamps, self._lasting = stamps, lasting
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="events")
        self._open: set[Stream] = set()
        self._seen: dict[Subject, Stamp] = {}
        self._closing = False
        self._watching: asyncio.Task[None] | None = None

    def close(self) -> None:
        """End every stream, and admit no more; the process is about to stop."""
        self._closing = True
        for stream in self._open:
            stream.end()
        if self._watching is not None:
            self._watching.cancel()
        self._threads.shutdown(wait=False)

    async def serve(self, subscription: Subscription, headers: Headers, receive: Receive, send: Send) -> None:
        """Write one page's events until it, or this process, is gone."""
        stream = Stream(subscription)
        self._open.add(stream)
        if self._closing:
            stream.end()
        if self._watching is None or self._watching.done():
            self._watching = asyncio.ensure_future(self._watch())
        left = asyncio.ensure_future(_left(receive, stream))
        try:
            async with asyncio.timeout(LIFE_SECONDS):
                await self._write(stream, [one for one in headers if one[0] != b"content-length"], send)
        except TimeoutError:
            log.debug("a live page has been open for long, or does not read")
        finally:
            left.cancel()
            self._open.discard(stream)
            subscription.close()
        await send({"type": "http.response.body", "body": b""})

    async def _write(self, stream: Stream, headers: Headers, send: Send) -> None:
        async def say(text: str) -> None:
            async with asyncio.timeout(WRITE_SECONDS):
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await say("retry: 2000\n\n")
        while not stream.over:
            stream.changed.clear()
            found = await self._in_thread(stream.subscription.look)
            if found is None:
                return
            if found[0] != stream.shown:
                stream.shown = found[0]
                await say(f"event: change\ndata: {found[1]}\n\n")
            while not await _within(BEAT_SECONDS, stream.changed):
                if not await self._in_thread(stream.subscription.allowed):
                    return
                await say(": still here\n\n")

    async def _watch(self) -> None:
        """Look for changes for as long as anybody has a page open."""
        while self._open:
            busy = any(stamp.busy for stamp in self._seen.values())
            await asyncio.sleep(FAST_SECONDS if busy else SLOW_SECONDS)
            wanted = {stream.subscription.subject for stream in self._open}
            readers = {stream.subscription.sign_in for stream in self._open}
            try:
                lasting = await self._in_thread(partial(self._lasting, readers))
                found = await self._in_thread(partial(self._stamps, wanted))
            except Exception:  # the database is away: looked for again
                log.exception("looking for changes of live pages")
                continue
            for stream in self._open:
                if stream.subscription.sign_in in readers and stream.subscription.sign_in not in lasting:
                    stream.end()
                subject = stream.subscription.subject
                if found.get(subject) != self._seen.get(subject):
                    stream.changed.set()
            self._seen = dict(found)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Whether it is set within so long."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


async def _left(receive: Receive, stream: Stream) -> None:
    """Notice that the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()
