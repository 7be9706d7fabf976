"""Control's view of its workers: started, watched, ended when they hang, started again; and the way to each.

A worker that ends for whatever reason is started again at once, and ever later when that happens again and again. Who
asks for its clusters meanwhile waits a little for it. One that has no cluster any more and holds much more memory than
when it began, in pieces that Python cannot give back, is replaced by a fresh one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

from simkube.apimachinery.crashes import Crashes
from simkube.apimachinery.errors import HostError
from simkube.host.front import Unavailable
from simkube.host.home import SLOW_END
from simkube.host.memory import activity
from simkube.host.watchdog import Pulse
from simkube.host.worker import BEAT_SECONDS, CONNECTION, END_SECONDS, RENEW, Order
from simkube.host.zygote import Zygote

log = logging.getLogger(__name__)

WAIT_SECONDS = 5.0
"""How long who asks waits for a worker that is being started again."""
LARGE_SECONDS = 60.0
"""How long a worker lives at least before it is ended for having more memory than it may."""
WORN_BYTES = 30 << 20
"""How much more than when it was fresh a worker without clusters may hold; most is what it has learnt of schemas."""
UNUSED_SECONDS = 5.0
"""How long it has been without clusters before it is replaced."""
STEADY_SECONDS = 30.0
"""A worker that lived for so long may be started again at once."""
FIRST_REST, LONGEST_REST = 0.5, 30.0
"""Seconds before one that did not is started again; twice as many each time."""


class WorkerEnded(HostError):
    """A worker ended that was not told to."""


class Link:
    """One worker, dead or alive."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.number = order.number
        self.pid: int | None = None
        self.restarts = 0
        self.memory: int | None = None
        self.fresh: int | None = None
        """Bytes that it had when all its clusters were back."""
        self.used = 0.0
        """When it had a cluster last."""
        self.renewing: float | None = None
        """When it was told to end if it is unused, and has not said that it stays."""
        self.resumed = False
        self.serves = asyncio.Event()
        self.channel: socket.socket | None = None
        self.pulse = Pulse(time.monotonic())
        self.began = 0.0
        self.short_lives = 0

    async def connect(self, made: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        """See :class:`simkube.host.front.Backend`."""
        if not self.serves.is_set():
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await self.serves.wait()
            except TimeoutError:
                raise Unavailable from None
        if self.channel is None:
            raise Unavailable
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            raise Unavailable from None
        try:
            socket.send_fds(self.channel, [CONNECTION], [theirs.fileno()])
            transport, _ = await asyncio.get_running_loop().create_unix_connection(made, sock=ours)
        except OSError:
            ours.close()
            raise Unavailable from None
        except asyncio.CancelledError:
            ours.close()
            raise
        finally:
            theirs.close()
        return transport

    def too_large(self, now: float) -> str:
        """Why it is to be ended for its memory; "" when it is not. What its clusters keep it has again at once."""
        if (self.memory or 0) <= self.order.memory or now - self.began < LARGE_SECONDS:
            return ""
        return f"holds {(self.memory or 0) >> 20} MiB of the {self.order.memory >> 20} MiB that it may"

    def worn(self, now: float) -> bool:
        """Whether a fresh one in its place would hold much less, and nobody would miss it."""
        if self.memory is None or self.fresh is None or self.renewing is not None or now - self.used < UNUSED_SECONDS:
            return False
        return self.memory - self.fresh > WORN_BYTES

    def renew(self, now: float) -> None:
        """Have it end if it is unused, and whoever asks meanwhile wait."""
        if self.channel is not None:
            with contextlib.suppress(OSError):
                self.channel.send(RENEW)
                self.renewing = now
                self.serves.clear()

    def stays(self, now: float) -> None:
        """It is in use after all."""
        self.renewing, self.used = None, now
        self.serves.set()

    def beats(self, beat: dict[str, Any], now: float) -> None:
        """It has told how it is; one that does so long after it was to end stays, and nobody has heard it say so."""
        if self.renewing is not None and now - self.renewing > END_SECONDS:
            self.stays(now)
        self.memory, self.resumed = beat["memory"], beat["resumed"]
        if self.resumed and self.fresh is None:
            self.fresh = self.memory
        if beat["clusters"] or not self.resumed:
            self.used = now
        self.pulse.beat(now, beat["clusters"], resumed=self.resumed)

    def state(self) -> str:
        """In a word."""
        return "serving" if self.resumed else "resuming" if self.serves.is_set() else "starting"


def rest(short_lives: int) -> float:
    """Seconds until a worker is started again that did not live long for so many times in a row."""
    return 0.0 if short_lives < 2 else min(LONGEST_REST, FIRST_REST * 2.0 ** min(short_lives - 2, 10))


class Workers:
    """All of a host's. ``found`` hears which clusters a worker has, by token, when it begins; ``gone`` that the
    zygote is no more, without which there are no further workers.
    """

    def __init__(
        self,
        zygote: Zygote,
        orders: list[Order],
        found: Callable[[int, dict[str, list[str]]], None],
        gone: Callable[[], None],
    ) -> None:
        self.links = [Link(order) for order in orders]
        self.resumed = asyncio.Event()
        """Set once every cluster of every worker is back."""
        self._zygote = zygote
        self._found = found
        self._gone = gone
        self._crashes = Crashes()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._slow = False

    def start(self) -> None:
        """Start all of them."""
        self._spawn(self._news())
        self._spawn(self._watch())
        for link in self.links:
            self._start(link)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _start(self, link: Link) -> None:
        ours, theirs = socket.socketpair()
        self._zygote.start(link.order.encode(), theirs)
        theirs.close()
        ours.setblocking(False)
        link.channel, link.began = ours, time.monotonic()
        link.pulse = Pulse(link.began)
        self._spawn(self._listen(link, ours))

    async def _listen(self, link: Link, channel: socket.socket) -> None:
        """Hear what a worker tells, until it is gone."""
        loop, rest = asyncio.get_running_loop(), b""
        while True:
            try:
                data = await loop.sock_recv(channel, 1 << 20)
            except OSError:
                return
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._hear(link, json.loads(line))

    def _hear(self, link: Link, told: dict[str, Any]) -> None:
        if "stays" in told:
            link.stays(time.monotonic())
        if "clusters" in told:
            self._found(link.number, told["clusters"])
            link.serves.set()
        if "beat" in told:
            link.beats(told["beat"], time.monotonic())
            if all(each.resumed for each in self.links):
                self.resumed.set()

    async def _news(self) -> None:
        while (news := await self._zygote.news()) is not None:
            if "started" in news:
                self.links[news["started"]].pid = news["pid"]
            else:
                ended = next((link for link in self.links if link.pid == news["ended"]), None)
                if ended is not None:
                    self._ended(ended, news["status"])
        self._gone()

    def _ended(self, link: Link, status: int) -> None:
        if link.channel is not None:
            link.channel.close()
        link.channel = link.pid = link.fresh = None
        link.resumed = False
        link.serves.clear()
        renewed, link.renewing = link.renewing is not None and status in (0, SLOW_END), None
        if self._stopping:
            self._slow |= status == SLOW_END
            return
        if renewed:
            self._start(link)
            return
        how = f"signal {-status}" if status < 0 else f"exit code {status}"
        self._crashes.handle("host", f"running worker {link.number}", WorkerEnded(f"it ended with {how}"))
        link.restarts += 1
        link.short_lives = 0 if time.monotonic() - link.began > STEADY_SECONDS else link.short_lives + 1
        self._spawn(self._again(link))

    async def _again(self, link: Link) -> None:
        await asyncio.sleep(rest(link.short_lives))
        if not self._stopping:
            self._start(link)

    async def _watch(self) -> None:
        """End what hangs. After control itself was kept from running nothing can be told of others."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            now = time.monotonic()
            late, last = now - last > 4 * BEAT_SECONDS, now
            for link in self.links:
                if link.pid is None:
                    continue
                why = "" if late else link.pulse.hangs(now, activity(link.pid)) or link.too_large(now)
                if why:
                    log.error("worker %d (pid %d) %s; it is ended and started again", link.number, link.pid, why)
                    self._zygote.kill(link.pid)
                elif not late and link.worn(now):
                    link.renew(now)

    async def stop(self) -> bool:
        """End all of them in good order; whether it took long for any."""
        self._stopping = True
        for link in self.links:
            if link.channel is not None:
                with contextlib.suppress(OSError):
                    link.channel.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + END_SECONDS + 2.0
        while any(link.pid is not None for link in self.links) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        for task in list(self._tasks):
            task.cancel()
        left = any(link.pid is not None for link in self.links)
        if left:
            log.warning("workers that did not end within %g s are ended", END_SECONDS + 2.0)
        return left or self._slow


__all__ = ["Link", "WorkerEnded", "Workers"]
