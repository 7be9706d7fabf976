"""An exact copy of a cluster as it is at this moment, in a process of its own and in virtual time.

The process that the cluster is in is forked, so that everything goes along: objects and their revisions, what runs in
containers with its memory and files, back-offs, timers, connections between pods. The child keeps that one cluster,
serves it on a port of its own and lets its time pass only while somebody waits for it (:mod:`simkube.clock.pace`).
Nothing that happens there is seen by the original, which goes on meanwhile.

A copy ends by itself: with the process it was forked from, when its time is up, when nobody asks it for anything. It is
on loopback only; its path holds a secret, and each request needs a token that is the copy's own. A copy can be copied
in turn.

It refuses (:class:`CannotFork`) to copy what would not be the same: a cluster whose pods wait for an answer of the API
server at this very moment, on a connection that cannot be copied.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from simkube.apimachinery.errors import HostError
from simkube.apiserver.http.encoding import Encodings
from simkube.clock.pace import PacedClock
from simkube.etcd.journal import Journal
from simkube.etcd.store import Beside
from simkube.eventloop.fairness import Metered
from simkube.host.admin import Admin
from simkube.host.certificates import Certificates
from simkube.host.connections import send_at_once
from simkube.host.protocol import Server
from simkube.host.routing import Router
from simkube.host.tenants import Tenant, Tenants
from simkube.host.zygote import in_child

log = logging.getLogger(__name__)

MOST = 64
"""Copies that one process may have at a time."""
LONGEST = 3600.0
"""Wall seconds that a copy may be there."""
IDLE_SECONDS = 30.0
"""A copy that nobody asks for anything for so long ends."""
LOOK_SECONDS = 0.5
STILL_SECONDS, STILL_EVERY = 2.0, 0.005
"""How long a moment is waited for at which no pod waits for the API server, and how often it is looked for."""
NICENESS = 10
"""Copies leave the processor to the clusters that people work in."""
_LIKE_A_SERVERS = (20_000, 20, 100)


class CannotFork(HostError):
    """A copy would not be exact, or there may be no more of them now."""


@dataclass(frozen=True)
class Fork:
    """Where a copy is. ``id`` is its cluster id there; ``token`` is of its host's API, ``tokens`` of its users."""

    url: str
    id: str
    token: str
    tokens: dict[str, str]

    def encode(self) -> dict[str, Any]:
        """As JSON; ``path`` is that of the cluster's API."""
        path = f"/clusters/{self.id}"
        return {"url": self.url, "id": self.id, "path": path, "token": self.token, "tokens": self.tokens}


class Forks:
    """The copies that were made of clusters of this process; they are served with the host's ``certificates``."""

    def __init__(self, certificates: Certificates, log_name: str) -> None:
        self._certificates, self._log_name = certificates, log_name
        self._children: set[int] = set()

    def __len__(self) -> int:
        self.reap()
        return len(self._children)

    async def make(self, tenant: Tenant, seconds: float) -> Fork:
        """A copy that is there for at most so many wall seconds; :class:`CannotFork`."""
        if not 0 < seconds <= LONGEST:
            raise HostError(f"a copy is there for at most {LONGEST:g} seconds, not {seconds:g}")
        if not hasattr(os, "fork"):
            raise CannotFork("this system cannot copy a process")
        await _still(tenant)
        if len(self) >= MOST:
            raise CannotFork(f"there are {MOST} copies already; end some first")
        users = tenant.meta["tokens"]
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        send_at_once(listener)
        with listener:
            copy = Fork(
                url=f"https://127.0.0.1:{listener.getsockname()[1]}",
                id=f"{tenant.cluster.id[:20].rstrip('-')}-{secrets.token_hex(16)}",
                token=secrets.token_urlsafe(32),
                tokens={who: secrets.token_urlsafe(32) for who in users},
            )
            beside = tenant.cluster.store.beside()  # the store is the parent's alone
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                forked = _Forked(tenant, copy, listener, beside, seconds, self._certificates, self._log_name)
                in_child(forked.main, parent)
        self._children.add(pid)
        return copy

    def end(self) -> None:
        """End all of them at once."""
        self.reap()
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def reap(self) -> None:
        """Notice which have ended."""
        for pid in list(self._children):
            with contextlib.suppress(ChildProcessError):
                found, status = os.waitpid(pid, os.WNOHANG)
                if not found:
                    continue
                code = os.waitstatus_to_exitcode(status)
                if code > 0:
                    log.error("a copy of a cluster (pid %s) failed with code %s", pid, code)
            self._children.discard(pid)


async def _still(tenant: Tenant) -> None:
    """Wait for a moment at which no pod waits for an answer from outside its network."""
    api = tenant.in_cluster_api
    deadline = time.monotonic() + STILL_SECONDS
    while api is not None and api.under_way:
        if time.monotonic() > deadline:
            raise CannotFork("programs in its pods ask the API server for something all the time")
        await asyncio.sleep(STILL_EVERY)


class _Forked:
    """The one cluster of a child, and what serves it. Nothing of the parent's loop is run or touched there again.

    What else was the parent's stays as it was, held by the parent's own frames below: nothing of it is collected.
    """

    def __init__(
        self,
        tenant: Tenant,
        copy: Fork,
        listener: socket.socket,
        beside: Beside,
        seconds: float,
        certificates: Certificates,
        log_name: str,
    ) -> None:
        self._tenant, self._copy, self._beside = tenant, copy, beside
        self._listener = listener
        self._log_name = log_name
        self._ends = time.monotonic() + seconds
        self._asked = time.monotonic()
        self._active = 0
        self._certificates = certificates
        self._forks = Forks(certificates, log_name)

    def main(self) -> int:
        """Serve until it is over; the exit code."""
        asyncio._set_running_loop(None)  # what runs in this thread is the parent's
        Metered.running = None
        _let_go_of_files(keep={0, 1, 2, self._listener.fileno(), *_logged_to()})
        _give_way()
        gc.freeze()  # whatever the parent had is not looked at again, and so not copied in memory
        gc.set_threshold(*_LIKE_A_SERVERS)
        asyncio.run(self._serve())
        return 0

    async def _serve(self) -> None:
        cluster, clock = self._tenant.cluster, self._tenant.cluster.clock
        cluster.leave_loop()
        cluster.store.carry_on(Journal(), self._beside)
        assert isinstance(clock, PacedClock)  # every cluster of a host has one
        if not clock.in_virtual_time:
            clock.virtual()
        address = self._copy.url.removeprefix("https://")
        tenants = Tenants(Journal(), Encodings(), address=address, ca=self._certificates.ca)
        meta = {**self._tenant.meta, "tokens": self._copy.tokens}
        tenants.adopt(self._copy.id, self._tenant, meta)
        admin = Admin(tenants, self._copy.token, forks=self._forks)
        self._router = Router(tenants, self._log_name, admin)
        runner = web.ServerRunner(Server(self._handle, access_log=None))
        await runner.setup()
        await web.SockSite(runner, self._listener, ssl_context=self._certificates.context).start()
        while tenants.ids() and time.monotonic() < self._ends and not self._idle():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(tenants.removed.wait(), LOOK_SECONDS)
        await asyncio.sleep(0)  # the answer to whoever ended it
        await runner.cleanup()

    async def _handle(self, http: Any) -> web.StreamResponse:
        self._active += 1
        try:
            return await self._router.handle(http)
        finally:
            self._active -= 1
            self._asked = time.monotonic()

    def _idle(self) -> bool:
        if self._active or len(self._forks):
            self._asked = time.monotonic()
        return time.monotonic() - self._asked > IDLE_SECONDS


def _give_way() -> None:
    """Be nice, also where the kernel shares processors among sessions and niceness counts within each only."""
    with contextlib.suppress(OSError):
        os.setsid()
        os.nice(NICENESS)
        Path("/proc/self/autogroup").write_text(str(NICENESS))


def _logged_to() -> Iterable[int]:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler) and handler.stream is not None:
            yield handler.stream.fileno()


def _let_go_of_files(keep: set[int]) -> None:
    """Close what the parent has open, so that whoever is at the other end sees only the parent.

    Each number stays taken: an object of the parent's that is collected later must not close a file of ours.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in _open_files():
        if number not in keep and number != nothing:
            with contextlib.suppress(OSError):
                os.dup2(nothing, number, inheritable=False)


def _open_files() -> list[int]:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return [int(name) for name in os.listdir(folder)]
    raise OSError("this system does not tell which files are open")


__all__ = ["CannotFork", "Fork", "Forks"]
