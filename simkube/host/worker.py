"""A process that clusters run in: one event loop, one thread for what is the clusters', no socket of its own.

It is forked with everything loaded. Over a channel it gets its connections, one after the other, each with who is at
the other end, and tells how it is four times a second. It stops when the channel ends, whatever became of control.
Killed at any moment it leaves nothing that the next one could not take over from its stores.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from simkube.apimachinery.errors import SimkubeError, StoreDamaged, StoreError
from simkube.apiserver.http.encoding import Encodings
from simkube.etcd.journal import Journal
from simkube.host import certificates, logs, memory
from simkube.host.admin import Admin
from simkube.host.connections import IDLE_SECONDS, MOST, Places
from simkube.host.fork import Forks
from simkube.host.home import DAMAGED, NO_SPACE, SLOW_END
from simkube.host.protocol import Server
from simkube.host.routing import Router
from simkube.host.signer import Signer
from simkube.host.tenants import Tenants
from simkube.host.wire import Answering, Wire

log = logging.getLogger(__name__)

CONNECTION, RENEW = b"c", b"r"
"""What control sends: a connection comes with it; end, if you are unused."""
BEAT_SECONDS = 0.25
"""How often it tells how it is."""
GIVE_MEMORY_SECONDS = 20.0
"""How often it tries to give memory back while it has as much as it may."""
COMPACT_SECONDS = 300.0
COLLECT = (20_000, 20, 100)
"""When Python looks for garbage: seldom, because objects that refer to each other in circles are rare here."""
COLLECT_SECONDS = 1.0
"""How long after a cluster was closed its garbage is looked for: what waits together takes memory together."""
COLLECT_SHARE = 0.02
"""The most of the loop's time that this may take."""
LONG_SECONDS = 0.05
"""A search that takes longer than this waits for a quiet moment."""
GIVE_BACK_SECONDS, GIVE_BACK_PAGES, GIVE_BACK_PAUSE = 1.0, 64, 0.01
"""How long after a cluster was removed its space is given back to the disk, and in which steps."""
QUIET_SECONDS = 30
"""Seconds for which it waits at most until nobody asks for anything."""
SWITCH_SECONDS = 0.0005
"""How long the loop waits for a thread that parses or compresses something large."""
END_SECONDS = 5.0
"""How long clients have to end what they do when the host stops."""
_ACCEPTED_AT_ONCE = 64


@dataclass(frozen=True)
class Order:
    """What a worker is started with. ``address`` is ``host:port`` as clients see it."""

    number: int
    stores: list[str]
    log: str
    address: str
    ca: str
    signer: tuple[str, str]
    """The files of the authority's certificate and its key."""
    token: str
    """Of the host's own API."""
    answer_bytes: int
    memory: int
    """Bytes that it may have."""

    def encode(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def main(given: dict[str, Any], channel: socket.socket) -> int:
    """Run a worker until its channel ends; its exit code."""
    order = Order(**given)
    logs.log_to(Path(order.log), order.number)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        return asyncio.run(_main(order, channel))
    except StoreDamaged as error:
        log.error("%s", error)
        return DAMAGED
    except StoreError as error:
        log.error("%s", error)
        return NO_SPACE
    except SimkubeError as error:
        log.error("%s", error)
        return 1
    except Exception:
        log.exception("a worker failed")  # nobody else is there to see it
        return 1


async def _main(order: Order, channel: socket.socket) -> int:
    return await Worker(order, channel).run()


class Worker:
    """The running worker."""

    def __init__(self, order: Order, channel: socket.socket) -> None:
        self._number = order.number
        self._channel = channel
        self._journals = [Journal(Path(path)) for path in order.stores]
        certificate, key = order.signer
        self._tenants = Tenants(
            self._journals,
            Encodings(),
            address=order.address,
            ca=order.ca,
            signer=Signer(Path(certificate), Path(key)),
            answer_bytes=order.answer_bytes,
        )
        self._forks = Forks(certificates.load(Path(certificate).parent), order.log)
        admin = Admin(self._tenants, order.token, order.number, self._forks)
        routes = Router(self._tenants, order.log, admin)
        self._server = Server(routes.handle, access_log=None, keepalive_timeout=IDLE_SECONDS)
        self._places = Places(MOST)
        self._stopping = asyncio.Event()
        self._opening: set[asyncio.Task[Any]] = set()
        self._resumed = False
        self._gauge = memory.Gauge(order.memory, lambda: memory.resident(os.getpid()))
        self._tenants.grow_while(self._gauge.scarce)

    async def run(self) -> int:
        """Serve until the channel ends; the exit code."""
        runner = web.ServerRunner(self._server)
        await runner.setup()
        found = {cluster: self._tenants.tokens(cluster) for cluster in self._tenants.ids()}
        self._channel.sendall(json.dumps({"clusters": found}).encode() + b"\n")
        self._channel.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel, self._accept)
        works = (self._beat(), self._resume(), self._compact(), self._give_back())
        chores = [asyncio.ensure_future(each) for each in works]
        await self._stopping.wait()
        loop.remove_reader(self._channel)
        for chore in chores:
            chore.cancel()
        self._forks.end()
        self._tenants.stop()
        code = 0
        try:
            await asyncio.wait_for(runner.cleanup(), END_SECONDS)
        except TimeoutError:
            log.warning(
                "connections that did not end within %s s were cut; every cluster was stopped before", END_SECONDS
            )
            code = SLOW_END
        for journal in self._journals:
            journal.close()
        return code

    # control

    def _accept(self) -> None:
        """Take connections that were handed over; end when it is said, or when nobody is there to say anything."""
        try:
            data, files, _, _ = socket.recv_fds(self._channel, 1, _ACCEPTED_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            data, files = b"", []
        for file in files:
            task = asyncio.ensure_future(self._open(socket.socket(fileno=file)))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        if data == RENEW and (self._opening or not self._unused()):
            self._tell({"stays": True})
        elif data != CONNECTION:
            self._stopping.set()

    def _unused(self) -> bool:
        """Whether it has no cluster, and is asked for nothing."""
        return not self._tenants.ids() and not len(self._forks) and not self._places.busy()

    async def _open(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            await loop.create_unix_connection(lambda: Answering(self._opened), sock=sock)

    def _opened(self, wire: Wire) -> asyncio.Protocol | None:
        place = self._places.take(wire.peer.address)
        if place is None:
            return None
        place.cut = wire.abort
        return self._server.connection(place, wire)

    def _tell(self, what: dict[str, Any]) -> None:
        """Tell control something; what it does not read now it has no use for later."""
        with contextlib.suppress(OSError):
            self._channel.send(json.dumps(what).encode() + b"\n")

    async def _beat(self) -> None:
        gave = -GIVE_MEMORY_SECONDS
        while True:
            if self._gauge.scarce() and time.monotonic() - gave > GIVE_MEMORY_SECONDS:
                gave = time.monotonic()
                memory.give_back()
            self._forks.reap()
            has, clusters = self._gauge.bytes(), len(self._tenants.ids())
            self._tell({"beat": {"memory": has, "resumed": self._resumed, "clusters": clusters}})
            await asyncio.sleep(BEAT_SECONDS)

    # chores

    async def _resume(self) -> None:
        gc.disable()  # bringing clusters back makes no garbage, and collections would take longer than all else
        try:
            await self._tenants.resume()
        finally:
            gc.set_threshold(*COLLECT)
            gc.enable()
        self._resumed = True
        await self._collect()

    async def _compact(self) -> None:
        while True:
            await asyncio.sleep(COMPACT_SECONDS)
            self._tenants.compact()

    async def _give_back(self) -> None:
        """Give the space of removed clusters back to the disk, in small pieces, so that nobody waits for it."""
        while True:
            await self._tenants.removed.wait()
            self._tenants.removed.clear()
            await asyncio.sleep(GIVE_BACK_SECONDS)
            try:
                for journal in self._journals:
                    while journal.give_back(GIVE_BACK_PAGES):
                        await asyncio.sleep(GIVE_BACK_PAUSE)
            except StoreError as error:
                log.warning("space of removed clusters is given back later: %s", error)

    async def _collect(self) -> None:
        """Give back what closed clusters leave: their objects refer to each other in circles, and are old by then.

        Python itself would look at the old ones once in an hour of work, when their memory has long been scattered.
        """
        took = 0.0
        while True:
            await self._tenants.closed.wait()
            await asyncio.sleep(max(COLLECT_SECONDS, took / COLLECT_SHARE))
            waited = 0
            while took > LONG_SECONDS and self._tenants.anybody() and waited < QUIET_SECONDS:
                await asyncio.sleep(1)
                waited += 1
            self._tenants.closed.clear()
            began = time.thread_time()  # on a busy machine it takes longer, and not more
            memory.give_back()
            took = time.thread_time() - began


__all__ = ["Order", "Worker", "main"]
