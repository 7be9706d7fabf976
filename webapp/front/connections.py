"""Who may have a connection to the site: nobody's idle or half-sent ones keep those away who have something to ask.

A connection is unproven until a request on it carried a cookie that this site has signed. Unproven ones are few, and
make room for newer ones: of the address that has most, the one that has been waiting longest goes first. A class behind
one address is many addresses' worth of connections, but none of them waits for long, so it is an attacker's that go.
Connections of somebody known are bounded by account. It refuses to let files run out.
"""

from __future__ import annotations

import contextlib
import resource
import time
from collections import Counter
from collections.abc import Callable

MOST = 4096
"""Connections of one process, however many files it may open."""
RESERVED = 256
"""Files that are none of a client's: the database, locks, the log, clusters; a quarter where that is less."""
MOST_UNPROVEN = 512
MOST_OF_ACCOUNT = 64
PROXY = "a trusted proxy"
"""Whose the connections of a trusted proxy are: it bounds its clients itself."""


def raise_file_limit() -> int:
    """Let the process open as many files as it may; the number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # a hard limit without end, where that is refused
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST + RESERVED if soft == resource.RLIM_INFINITY else soft


def room(files: int) -> int:
    """How many connections a process that may open so many files has."""
    return max(1, min(MOST, files - min(RESERVED, files // 4)))


class Place:
    """One connection's. ``cut`` ends it at once; ``busy`` while a whole request of it is being answered."""

    def __init__(self, places: Connections, address: str, cut: Callable[[], object], since: float) -> None:
        self._places, self.address, self.cut, self.since = places, address, cut, since
        self.whose = ""
        self.busy = False

    def prove(self, whose: str) -> bool:
        """A request on it is ``whose``; False when all that they may have are busy."""
        return self.whose == whose or self._places.prove(self, whose)

    def waits(self) -> None:
        """It is idle, or its request is not whole, from now on."""
        self.busy, self.since = False, self._places.now()

    def leave(self) -> None:
        """The connection is over; a no-op the second time."""
        self._places.taken.pop(self, None)


class Connections:
    """All of a process's; ``most`` at once."""

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self.now = most, now
        self.taken: dict[Place, None] = {}

    def take(self, address: str, cut: Callable[[], object], whose: str = "") -> Place | None:
        """A place for a new connection, for which another one may have to go; None when there is none."""
        if not whose and len(self.taken) >= MOST_UNPROVEN:
            unproven = [place for place in self.taken if not place.whose]
            if len(unproven) >= MOST_UNPROVEN and not self._free(unproven):
                return None
        if len(self.taken) >= self._most and not self._free_any():
            return None
        place = Place(self, address, cut, self.now())
        place.whose = whose
        self.taken[place] = None
        return place

    def prove(self, place: Place, whose: str) -> bool:
        """See :meth:`Place.prove`."""
        if place.whose == PROXY:
            return True
        own = [other for other in self.taken if other.whose == whose]
        if len(own) >= MOST_OF_ACCOUNT and not self._free(own):
            return False
        place.whose = whose
        return True

    def _free_any(self) -> bool:
        return self._free([place for place in self.taken if not place.whose]) or self._free(list(self.taken))

    def _free(self, among: list[Place]) -> bool:
        """Cut the one that has been waiting longest, of the address or account that has most; False: all are busy."""
        waiting = [place for place in among if not place.busy]
        if not waiting:
            return False
        held = Counter(place.whose or place.address for place in among)
        chosen = max(waiting, key=lambda place: (held[place.whose or place.address], -place.since))
        chosen.leave()
        chosen.cut()
        return True
