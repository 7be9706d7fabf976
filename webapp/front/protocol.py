"""HTTP/1.1 on one connection, with time-outs: uvicorn's protocol, which has one for idle connections only.

A request's head is whole within :data:`HEAD_SECONDS` of its first byte (of the connection, for the first). An answer
that is not fetched within :data:`IDLE_SECONDS` is given up together with its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from webapp.front.connections import PROXY, Connections, Place

HEAD_SECONDS = 15.0
HEAD_BYTES = 32 * 1024
IDLE_SECONDS = 60
"""How long a connection may be idle: browsers keep theirs for about as long."""


class Protocol(H11Protocol):
    """Made by the server for each connection; ``places`` has the place of each, by the client's address and port."""

    def __init__(
        self, connections: Connections, trusted: Container[str], places: dict[Any, Place], **given: Any
    ) -> None:
        super().__init__(**given)
        self._connections, self._trusted, self._places = connections, trusted, places
        self._place: Place | None = None
        self._head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, or hang up."""
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        whose = PROXY if address in self._trusted else ""
        self._place = self._connections.take(address, transport.abort, whose)
        if self._place is None:
            transport.abort()
            return
        self._places[self.client] = self._place
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        if self._place is not None:
            self._place.leave()
            self._places.pop(self.client, None)
        self._watch_head(over=True)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """More of a request."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """The answer is written; the client may have to fetch it yet."""
        if self._place is not None:
            self._place.waits()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Idle for too long; or what was answered is not fetched, and closing would wait for that."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
            return
        super().timeout_keep_alive_handler()

    def _watch_head(self, *, over: bool = False) -> None:
        """Have the time of a head run while it is not whole; it does not begin anew with each byte."""
        whole = over or self.conn.their_state is not h11.IDLE or self.timeout_keep_alive_task is not None
        if whole and self._head is not None:
            self._head.cancel()
            self._head = None
        elif not whole and self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self.transport.abort)
