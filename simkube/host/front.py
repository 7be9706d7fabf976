"""Control's part in a client's connection: which cluster each request is for, and bytes there and back.

Of a request nothing is understood but where its head and its body end, the path and, where that names no cluster, the
token. What comes behind its end waits until it is answered, so that a connection may carry requests for different
clusters one after the other. Where the end cannot be told (a stream after an upgrade, a body in chunks) all goes to the
same place, and the connection ends with the answer. Each client has a connection of its own to whoever answers, so that
nothing of one client's can be taken for another's.

It refuses to hold more than a head and what fits into a socket: who sends or reads slowly is read slowly, and who
reads nothing is cut off.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import unquote

from simkube.apimachinery.errors import StatusError
from simkube.host.connections import Place
from simkube.host.wire import Frames, Peer

log = logging.getLogger(__name__)

MOST_HEAD = 64 * 1024
"""Bytes of a request's head; a longer one is answered without being read to its end."""
SLOW_SECONDS = 30.0
"""Who reads nothing for so long, while something waits, is cut off."""
HOST = "/host/"
_END = b"\r\n\r\n"
_UNTOLD = re.compile(rb"\r\n(?:upgrade|transfer-encoding)[ \t]*:", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:([^\r]*)", re.IGNORECASE)
_TOKEN = re.compile(rb"\r\nauthorization:[ \t]*bearer[ \t]+(\S+)", re.IGNORECASE)


class Unavailable(Exception):
    """Whoever answers is not there at present."""


class Backend(Protocol):
    """Whoever answers: a worker, or control itself."""

    async def connect(self, made: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        """One more connection; :class:`Unavailable`."""


class Routes(Protocol):
    """Who answers what."""

    def began(self) -> None:
        """A cluster is asked for something."""

    def ended(self) -> None:
        """It has answered, or nobody waits for it any more."""

    def backend(self, path: str, token: str) -> Backend:
        """Who answers a request for ``path`` (decoded, with its query), made with a token or with none ("")."""

    @property
    def own(self) -> Backend:
        """Control itself: what is nobody else's."""

    def noted(self, note: dict[str, Any]) -> None:
        """What a backend tells."""


def asked(head: bytes) -> tuple[str, str]:
    """The path and the token of a request, as far as it can be understood; "" for what is not there."""
    words = head[: head.find(b"\r\n")].split(b" ")
    target = words[1].decode("ascii", "replace") if len(words) == 3 else ""
    if "://" in target[:10]:
        target = "/" + target.partition("://")[2].partition("/")[2]
    found = _TOKEN.search(head)
    return target, found[1].decode("ascii", "replace") if found else ""


def body_length(head: bytes) -> int | None:
    """How many bytes follow a request's head; None where that cannot be told from it."""
    given = [value.strip() for value in _LENGTH.findall(head)]
    if _UNTOLD.search(head) or len(given) > 1 or not all(value.isdigit() for value in given):
        return None
    return int(given[0]) if given else 0


def segment(path: str, prefix: str) -> str:
    """What follows a prefix of a path up to the next slash, decoded; "" when it does not begin so."""
    path = unquote(path.partition("?")[0])
    return path.removeprefix(prefix).partition("/")[0] if path.startswith(prefix) else ""


class _Back(asyncio.Protocol):
    """Control's end of the connection to whoever answers."""

    def __init__(self, front: Front) -> None:
        self._front: Front | None = front
        self._frames = Frames(front.answered, front.complete, front.noted)
        self.transport: asyncio.Transport | None = None

    def leave(self) -> None:
        """Nothing more of it is wanted."""
        self._front = None
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self._front is not None:
            self._frames.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._front is None:
            return
        if exc is not None and self.transport is not None:  # found out by writing: what had come before is still there
            with suppress(OSError):
                while data := os.read(self.transport.get_extra_info("socket").fileno(), MOST_HEAD):
                    self._frames.feed(data)
        self._front.ended()

    def pause_writing(self) -> None:
        if self._front is not None:
            self._front.hold(reading=False)

    def resume_writing(self) -> None:
        if self._front is not None:
            self._front.hold(reading=True)


class Front(asyncio.Protocol):
    """See the module. ``place`` is the connection's among all."""

    def __init__(self, routes: Routes, place: Place) -> None:
        self._routes = routes
        self._place = place
        self._transport: asyncio.Transport | None = None
        self._peer = Peer(place.address)
        self._waiting = b""
        """What came and has no destination yet."""
        self._left: int | None = 0
        """Bytes that are still to come of the request that is being answered; None where that cannot be told."""
        self._busy = self._uses = False
        self._to: Backend | None = None
        self._back: _Back | None = None
        self._opening: asyncio.Task[None] | None = None
        self._slow: asyncio.TimerHandle | None = None

    # the client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        secure = transport.get_extra_info("ssl_object")
        shown = secure.getpeercert(binary_form=True) if secure is not None else None
        if shown:
            self._peer = Peer(self._place.address, secure.getpeercert(), shown)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        if self._busy and self._to is not None and self._back is not None and self._back.transport is not None:
            self._send(self._back.transport)
        elif not self._busy:
            self._next()
            return
        if len(self._waiting) > MOST_HEAD:
            self.hold(reading=False)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - it is over, why ever
        self._place.leave()
        self._transport = None
        if self._busy:
            self._done()
        for handle in (self._slow, self._opening):
            if handle is not None:
                handle.cancel()
        self._drop()

    def pause_writing(self) -> None:
        if self._back is not None and self._back.transport is not None:
            self._back.transport.pause_reading()
        loop = asyncio.get_running_loop()
        self._slow = loop.call_later(SLOW_SECONDS, self._cut)

    def resume_writing(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None
        if self._back is not None and self._back.transport is not None:
            self._back.transport.resume_reading()

    def hold(self, *, reading: bool) -> None:
        """Read on from the client, or not for now."""
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.resume_reading if reading else self._transport.pause_reading)()

    def _cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # requests

    def _next(self) -> None:
        """Send on the request that has begun, once its head is here."""
        end = self._waiting.find(_END)
        if end < 0 and len(self._waiting) < MOST_HEAD:
            return
        own = self._routes.own  # which says what is wrong with a head that does not end
        path, token = asked(self._waiting[: end + len(_END)])
        backend = own if end < 0 else self._routes.backend(path, token)
        self._busy = True
        length = body_length(self._waiting[: end + 2]) if end >= 0 else None
        self._left = None if length is None else end + len(_END) + length
        self._place.began()
        self._uses = backend is not own and not path.startswith(HOST)
        if self._uses:
            self._routes.began()
        if backend is self._to and self._back is not None and self._back.transport is not None:
            self._send(self._back.transport)
            return
        self._drop()
        self._opening = asyncio.ensure_future(self._open(backend))

    async def _open(self, backend: Backend) -> None:
        back = _Back(self)
        self._back = back
        try:
            transport = await backend.connect(lambda: back)
        except Unavailable:
            backend = self._routes.own
            try:
                transport = await backend.connect(lambda: back)
            except Unavailable:
                self._cut()
                return
        self._opening = None
        if self._transport is None:
            transport.abort()
            return
        self._to = backend
        transport.write(self._peer.encode())
        self._send(transport)
        if len(self._waiting) <= MOST_HEAD:
            self.hold(reading=True)

    def _send(self, transport: asyncio.Transport) -> None:
        """Send on what has come of the request that is being answered, and nothing of the next one."""
        data = self._waiting if self._left is None else self._waiting[: self._left]
        self._waiting = self._waiting[len(data) :]
        if self._left is not None:
            self._left -= len(data)
        transport.write(data)

    def _drop(self) -> None:
        if self._back is not None:
            self._back.leave()
        self._back = self._to = None

    # answers

    def answered(self, data: bytes) -> None:
        """Bytes for the client."""
        if self._transport is not None:
            self._transport.write(data)

    def complete(self) -> None:
        """The answer is complete."""
        if not self._busy:
            return
        self._done()
        if self._left is None or self._left > 0:  # what comes now may still be this request's
            self._drop()
            self.ended()
            return
        if self._waiting:
            self.hold(reading=True)
            self._next()

    def _done(self) -> None:
        self._busy = False
        self._place.ended()
        if self._uses:
            self._routes.ended()
            self._uses = False

    def noted(self, note: dict[str, Any]) -> None:
        """What is told beside the answer; that the client is known concerns its place."""
        proved = note.get("proved")
        if proved is None:
            self._routes.noted(note)
            return
        with suppress(StatusError):  # whoever answers has counted, and has decided
            self._place.prove(proved)

    def ended(self) -> None:
        """Whoever answered has ended the connection: so does the client's, once it has read what there is."""
        self._back = None
        if self._transport is not None:
            self._transport.close()
            if self._slow is None:
                self._slow = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._cut)


__all__ = ["Backend", "Front", "Routes", "Unavailable", "asked", "segment"]
