"""Listening ports: what ``listen`` and ``accept`` are to a simulated server.

One :class:`PortTable` per network namespace (a pod, or a node for pods on the host network). A server takes whole HTTP
requests (``serve``) or bytes (``accept``); clients of either kind reach either.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from simkube.clock.clock import Cancelled, Future, Task, spawn
from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.network import http1
from simkube.runtime.network.sockets import Socket, pair
from simkube.runtime.nodes import FileError

T = TypeVar("T")
Serve = Callable[[HTTPRequest, str], Coroutine[Any, Any, HTTPResponse]]
"""Answers one request; the text is the client's address."""
Accept = Callable[[Socket], Coroutine[Any, Any, None]]
"""Talks on one connection; it is closed when that returns."""

Health = Callable[[str], str | None]
"""What a gRPC server says of a service's health (``SERVING``, ...); None when it does not know that service."""

MAX_CONNECTIONS = 1000
"""Connections a listener holds at once; more find no answer, as with a full backlog."""
_CLIENT_PORT = 40000


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a TLS server shows: the names and addresses it is for, and the certificate (PEM) of who issued it.

    ``chain`` is all of what it shows as PEM, its own certificate first; "" where it is not at hand. ``common_name`` is
    what old certificates have in place of ``names``: OpenSSL goes by it when there are none, Go never does.
    """

    names: tuple[str, ...]
    issuer: str
    chain: str = ""
    common_name: str = ""

    def covers(self, host: str) -> bool:
        """Whether it is for that host; a name may begin with ``*.``."""
        return any(host == name or (name[:2] == "*." and host.partition(".")[2] == name[2:]) for name in self.names)


Identify = Callable[[str], Certificate]
"""From the host a TLS client asks for (SNI) to the certificate it is shown."""


class Owner(Protocol):
    """Whoever listens: a process, or a :class:`Daemon`. Its tasks end with it."""

    exited: Future[int]
    on_end: list[Callable[[], None]]

    def spawn(self, work: Coroutine[Any, Any, T]) -> Task[T]:
        """Run a task of it."""


class Daemon:
    """A server that is part of the simulation itself and never ends."""

    def __init__(self) -> None:
        self.exited: Future[int] = Future()
        self.on_end: list[Callable[[], None]] = []

    def spawn(self, work: Coroutine[Any, Any, T]) -> Task[T]:
        """Run a task."""
        return spawn(work)


class Listener:
    """A port that a process listens on. Closing it refuses new connections; those open live on.

    Just one of ``serve`` and ``accept`` is given. ``tls`` says that clients must speak TLS, and what they are shown;
    ``health`` answers the gRPC health protocol, None where the server does not speak gRPC.
    """

    __slots__ = ("_table", "accept", "address", "busy", "closed", "health", "idle", "port", "process", "serve", "tls")

    def __init__(
        self,
        table: PortTable,
        port: int,
        address: str,
        process: Owner,
        serve: Serve | None,
        accept: Accept | None = None,
        tls: Identify | None = None,
        health: Health | None = None,
    ) -> None:
        self._table = table
        self.port = port
        self.address = address
        self.process = process
        self.serve = serve
        self.accept = accept
        self.tls = tls
        self.health = health
        self.closed = False
        self.busy: set[Task[Any]] = set()
        self.idle: list[Future[None]] = []

    def close(self) -> None:
        """Stop listening; a no-op when closed."""
        if not self.closed:
            self.closed = True
            self._table.free(self)

    async def drained(self) -> None:
        """Wait until no request is being answered."""
        while self.busy:
            future: Future[None] = Future()
            self.idle.append(future)
            await future

    def _done(self, task: Task[Any]) -> None:
        self.busy.discard(task)
        if not self.busy and self.idle:
            waiting, self.idle = self.idle, []
            for future in waiting:
                future.set(None)

    async def exchange(self, request: HTTPRequest, peer: str) -> HTTPResponse:
        """One request to an HTTP server; NetworkError ``reset`` when its process dies meanwhile."""
        assert self.serve is not None  # a server of bytes is asked over a socket
        if self.process.exited.done:
            raise NetworkError("reset", "Connection reset by peer")
        if len(self.busy) >= MAX_CONNECTIONS:
            await Future[None]()
        task = self.process.spawn(self.serve(request, peer))
        self.busy.add(task)
        try:
            return await task
        except Cancelled:
            if not task.done:
                task.cancel()
                raise
            raise NetworkError("reset", "Connection reset by peer") from None
        finally:
            self._done(task)

    async def open(self, peer: str, *, loopback: str = "") -> Socket:
        """The client's end of a new connection of bytes; waits while the listener holds all it can."""
        if len(self.busy) >= MAX_CONNECTIONS:
            await Future[None]()
        client, server = pair(f"{peer}:{_CLIENT_PORT}", f"{loopback or self.address}:{self.port}")
        if self.process.exited.done:
            raise NetworkError("reset", "Connection reset by peer")
        task = self.process.spawn(self._talk(server))
        if self.accept is not None and not task.done:
            self.busy.add(task)
            task.when_done(lambda _: self._done(task))
        task.when_done(lambda done: _ended(done, server))
        return client

    async def _talk(self, server: Socket) -> None:
        if self.tls is not None:
            await http1.serve(server, _plain)
        elif self.accept is not None:
            await self.accept(server)
        else:
            await http1.serve(server, self.exchange)


async def _plain(request: HTTPRequest, peer: str) -> HTTPResponse:
    """What an HTTPS server says to who does not speak TLS; TLS itself is not carried as bytes."""
    return httptext.text(400, "Client sent an HTTP request to an HTTPS server.\n")


def _ended(done: Future[None], server: Socket) -> None:
    """A server that came to its end closes its connection; one that was killed leaves it to the kernel."""
    try:
        done.result()
    except (Cancelled, Exception):  # noqa: BLE001 - whatever ended it, its client sees the same
        server.abandon()
    else:
        server.close()


class PortTable:
    """Who listens on which port of one network namespace."""

    __slots__ = ("listeners",)

    def __init__(self) -> None:
        self.listeners: dict[int, Listener] = {}

    def listen(
        self,
        process: Owner,
        port: int,
        serve: Serve | None = None,
        address: str = "0.0.0.0",  # noqa: S104 - simulated
        *,
        accept: Accept | None = None,
        tls: Identify | None = None,
        health: Health | None = None,
    ) -> Listener:
        """Listen; FileError EADDRINUSE when another process does, EACCES never (containers may bind low ports)."""
        if not 0 < port < 65536:
            raise FileError(errno.EINVAL)
        if port in self.listeners:
            raise FileError(errno.EADDRINUSE)
        listener = self.listeners[port] = Listener(self, port, address, process, serve, accept, tls, health)
        process.on_end.append(listener.close)
        return listener

    def free(self, listener: Listener) -> None:
        """Forget a listener."""
        if self.listeners.get(listener.port) is listener:
            del self.listeners[listener.port]

    def find(self, port: int, *, loopback: bool) -> Listener:
        """Who answers on a port; NetworkError ``refused``."""
        listener = self.listeners.get(port)
        if listener is None or (listener.address.startswith("127.") and not loopback):
            raise NetworkError("refused", "Connection refused")
        return listener
