"""How a process that answers requests tells the one that drives sessions that something is wanted.

A word may get lost, when it says too much at once or while the other one is started again: what is wanted is in the
rows, and is found there a few seconds later.
"""

from __future__ import annotations

import contextlib
import socket

LONGEST = 64
"""Bytes of a session's id, and more."""


class Waking:
    """A pair of sockets, to be made before the processes are."""

    def __init__(self) -> None:
        self._here, self._there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._there.setblocking(False)

    def tell(self, session: str) -> None:
        """Something is wanted of a session; never waits."""
        with contextlib.suppress(OSError):  # too much was said: see above
            self._there.send(session.encode())

    def hear(self, seconds: float) -> str | None:
        """The next session of which something is wanted; None when nothing is said for so long."""
        self._here.settimeout(seconds)
        try:
            return self._here.recv(LONGEST).decode()
        except TimeoutError:
            return None

    def close(self) -> None:
        """Give the sockets back."""
        self._here.close()
        self._there.close()
