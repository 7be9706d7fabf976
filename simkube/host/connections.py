"""Who may have a connection to the host: nobody's idle ones keep those away who have work to do.

A connection is unproven until a request on it was somebody's (a token, a certificate). Unproven ones are few, last for
seconds, and make room for newer ones, the oldest idle one of the address that has most first; proven ones are each
cluster's own, so many of them. It refuses to let files run out: beyond what the process may open, idle connections of
whoever has most go first, and where there is none the newest is not accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable

from simkube.apimachinery.errors import StatusError

log = logging.getLogger(__name__)

MOST = 16_384
"""Connections at once, however many files the process may open."""
RESERVED = 256
"""Files that are none of a client's: the store, logs, threads; a quarter where that is less."""
MOST_UNPROVEN = 512
"""Connections at once of nobody known."""
MOST_OF_CLUSTER = 1000
"""Connections at once of one cluster's users: more than it serves watches."""
UNPROVEN_SECONDS = 10.0
"""How long a connection may be nobody's while nothing is asked on it; that long a TLS handshake may take, too."""
IDLE_SECONDS = 120.0
"""How long any connection may be idle (longer than kubectl and Python keep one)."""
FULL_SECONDS = 0.1
"""How long nobody is accepted when the machine has no file or memory left."""
HANDSHAKE_SECONDS = 0.003
"""Between the beginnings of two TLS handshakes of one address; one takes half as long of the loop, measured."""
MOST_ADDRESSES = 1000
"""Addresses whose handshakes are told apart; the others' take turns together."""
LOG_SECONDS = 60.0
"""How often the log is told of refused connections, at most."""


def raise_file_limit() -> int:
    """Let the process open as many files as it may; the number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # a hard limit without end, where that is refused
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST + RESERVED if soft == resource.RLIM_INFINITY else soft


class Place:
    """One connection's; ``cut`` ends it."""

    def __init__(self, places: Places, address: str) -> None:
        self._places = places
        self.address = address
        self.whose = ""
        self.busy = 0
        self.used = time.monotonic()
        self.cut: Callable[[], object] = lambda: None

    def prove(self, whose: str) -> None:
        """A request on it is that cluster's; StatusError 429 when all of its connections are in use."""
        if not self.whose:
            self._places.prove(self, whose)

    def began(self) -> None:
        """Something is asked on it."""
        self.busy += 1

    def ended(self) -> None:
        """It is answered."""
        self.busy -= 1
        self.used = time.monotonic()

    def leave(self) -> None:
        """The connection is over; a no-op the second time."""
        self._places.taken.pop(self, None)


class Places:
    """All of a host's; ``most`` at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken: dict[Place, None] = {}

    def take(self, address: str) -> Place | None:
        """A place for a new connection, for which another one may have to go; None when there is none."""
        unproven = [place for place in self.taken if not place.whose] if len(self.taken) >= MOST_UNPROVEN else []
        full = len(unproven) >= MOST_UNPROVEN and not self._free(unproven)
        if full or (len(self.taken) >= self._most and not self.free_one()):
            return None
        place = Place(self, address)
        self.taken[place] = None
        return place

    def busy(self) -> bool:
        """Whether anything is asked on any of them."""
        return any(place.busy for place in self.taken)

    def free_one(self) -> bool:
        """Cut an idle connection, of nobody known if there is one; False when all are in use."""
        unproven = [place for place in self.taken if not place.whose]
        return self._free(unproven) or self._free(list(self.taken))

    def prove(self, place: Place, whose: str) -> None:
        """See :meth:`Place.prove`."""
        own = [other for other in self.taken if other.whose == whose]
        if len(own) >= MOST_OF_CLUSTER and not self._free(own):
            message = f"{MOST_OF_CLUSTER} connections to this cluster are in use, the most it may have; end some"
            raise StatusError(429, "TooManyRequests", message, {"retryAfterSeconds": 1})
        place.whose = whose

    def _free(self, among: list[Place]) -> bool:
        """Cut the one that is idle for longest, of the address or cluster that has most of them."""
        idle = [place for place in among if not place.busy]
        if not idle:
            return False
        held = Counter(place.whose or place.address for place in among)
        chosen = max(idle, key=lambda place: (held[place.whose or place.address], -place.used))
        chosen.leave()
        chosen.cut()
        return True


def send_at_once(sock: socket.socket) -> None:
    """Have what is accepted at a listening socket send small pieces at once.

    asyncio sees to that only where a socket was made for TCP by number; else the answer to the first request on each
    TLS connection would wait for 40 ms, until the client has confirmed what came before it.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Handshakes:
    """When the next TLS handshake of an address may begin: in the order of coming, with room for others in between.

    Only who has sent something asks for a turn, so that connections on which nothing comes keep nobody waiting.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._next: dict[str, float] = {}

    def wait(self, address: str) -> float:
        """Take the next turn of an address; the seconds until then."""
        now = self._now()
        if address not in self._next and len(self._next) >= MOST_ADDRESSES:
            self._next = {each: at for each, at in self._next.items() if at > now}
            address = address if len(self._next) < MOST_ADDRESSES else ""
        at = max(now, self._next.get(address, now))
        self._next[address] = at + HANDSHAKE_SECONDS
        return at - now


async def _something_has_come(sock: socket.socket) -> None:
    """Wait until something can be read, or the other end is gone."""
    loop = asyncio.get_running_loop()
    come = loop.create_future()
    loop.add_reader(sock, lambda: None if come.done() else come.set_result(None))
    try:
        await come
    finally:
        loop.remove_reader(sock)


class Listener:
    """Accepts connections at a socket, over TLS or without where ``context`` is None; ``opened`` serves each."""

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext | None,
        opened: Callable[[Place], asyncio.Protocol],
        places: Places,
    ) -> None:
        self._handshakes = Handshakes()
        self._socket = sock
        self._context = context
        self._opened = opened
        self._places = places
        self._opening: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None
        self._refused = 0
        self._told = -LOG_SECONDS

    def start(self) -> None:
        """Accept from now on."""
        self._socket.setblocking(False)
        send_at_once(self._socket)
        self._accepting = asyncio.ensure_future(self._accept())

    def stop(self) -> None:
        """Accept no more; connections that are open stay so."""
        for task in (self._accepting, *self._opening):
            if task is not None:
                task.cancel()
        self._socket.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(self._socket)
            except OSError as error:  # no file or memory is left; or whoever came is gone again
                self._places.free_one()
                self._tell(str(error))
                await asyncio.sleep(FULL_SECONDS)
                continue
            place = self._places.take(str(address[0]))
            if place is None:
                accepted.close()
                self._tell("all that may be open are in use")
                continue
            task = asyncio.ensure_future(self._open(accepted, place))
            place.cut = task.cancel
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, accepted: socket.socket, place: Place) -> None:
        loop = asyncio.get_running_loop()
        patience = UNPROVEN_SECONDS if self._context is not None else None
        try:
            if self._context is not None:
                async with asyncio.timeout(UNPROVEN_SECONDS):
                    await _something_has_come(accepted)
                await asyncio.sleep(self._handshakes.wait(place.address))
            transport, _ = await loop.connect_accepted_socket(
                lambda: self._opened(place), accepted, ssl=self._context, ssl_handshake_timeout=patience
            )
        except (OSError, asyncio.CancelledError):
            accepted.close()
            place.leave()
            return
        place.cut = transport.abort
        loop.call_later(UNPROVEN_SECONDS, self._expire, place)

    def _expire(self, place: Place) -> None:
        if place.whose or place not in self._places.taken:
            return
        if place.busy:
            asyncio.get_running_loop().call_later(UNPROVEN_SECONDS, self._expire, place)
            return
        place.leave()
        place.cut()

    def _tell(self, why: str) -> None:
        """Log refused connections, seldom: whoever causes them must not fill the log."""
        self._refused += 1
        if time.monotonic() - self._told >= LOG_SECONDS:
            log.warning("connections are refused (%d since the last word): %s", self._refused, why)
            self._refused, self._told = 0, time.monotonic()
