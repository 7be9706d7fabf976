"""Listening ports: what ``listen`` and ``accept`` are to a simulated server.

One :class:`PortTable` per network namespace (a pod, or a node for pods on the host network). Only HTTP exchanges and
bare connections are carried; there are no byte streams and no TLS.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from simkube.clock import Cancelled, Future, Task
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.nodes import FileError

if TYPE_CHECKING:
    from simkube.runtime.process import Process

Serve = Callable[[HTTPRequest, str], Coroutine[Any, Any, HTTPResponse]]
"""Answers one request; the text is the client's address."""

MAX_CONNECTIONS = 1000
"""Connections a listener holds at once; more find no answer, as with a full backlog."""


class Listener:
    """A port that a process listens on. Closing it refuses new connections; those open live on."""

    __slots__ = ("_table", "address", "busy", "closed", "idle", "port", "process", "serve")

    def __init__(self, table: PortTable, port: int, address: str, process: Process, serve: Serve) -> None:
        self._table = table
        self.port = port
        self.address = address
        self.process = process
        self.serve = serve
        self.closed = False
        self.busy: set[Task[HTTPResponse]] = set()
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

    async def exchange(self, request: HTTPRequest, peer: str) -> HTTPResponse:
        """One request to this server; NetworkError ``reset`` when its process dies meanwhile."""
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
            self.busy.discard(task)
            if not self.busy and self.idle:
                waiting, self.idle = self.idle, []
                for future in waiting:
                    future.set(None)


class PortTable:
    """Who listens on which port of one network namespace."""

    __slots__ = ("listeners",)

    def __init__(self) -> None:
        self.listeners: dict[int, Listener] = {}

    def listen(self, process: Process, port: int, serve: Serve, address: str = "0.0.0.0") -> Listener:  # noqa: S104 - simulated
        """Listen; FileError EADDRINUSE when another process does, EACCES never (containers may bind low ports)."""
        if not 0 < port < 65536:
            raise FileError(errno.EINVAL)
        if port in self.listeners:
            raise FileError(errno.EADDRINUSE)
        listener = self.listeners[port] = Listener(self, port, address, process, serve)
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
