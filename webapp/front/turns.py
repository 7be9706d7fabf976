"""In whose turn a request is answered: learners take turns, so nobody's hundred requests stand before another's first.

Threads are few, because more of them answer no more pages. An owner (an account, or an address for who is not signed
in) holds a part of them at a time and has so many requests waiting; what is beyond is refused at once, and nothing
waits without end.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Full(Exception):
    """Too many requests wait; try again in a moment."""


class Turns:
    """``places`` at once, ``of_one`` of them one owner's; ``waiting`` more in all, ``waiting_of_one`` of one."""

    def __init__(self, places: int, of_one: int, waiting: int, waiting_of_one: int) -> None:
        self._free, self._of_one = places, of_one
        self._waiting, self._waiting_of_one = waiting, waiting_of_one
        self._held: Counter[str] = Counter()
        self._line: dict[str, deque[asyncio.Future[None]]] = {}
        """Owners in the order of their turns, each with what waits of theirs."""

    @asynccontextmanager
    async def turn(self, owner: str) -> AsyncIterator[None]:
        """Wait for the owner's turn, and hold a place while entered; :class:`Full` at once when too many wait."""
        if not self._take(owner):
            await self._wait(owner)
        try:
            yield
        finally:
            self._give_back(owner)

    def _take(self, owner: str) -> bool:
        if not self._free or self._held[owner] >= self._of_one:
            return False
        self._free -= 1
        self._held[owner] += 1
        return True

    async def _wait(self, owner: str) -> None:
        waiting = self._line.get(owner, ())
        if len(waiting) >= self._waiting_of_one or sum(map(len, self._line.values())) >= self._waiting:
            raise Full
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.setdefault(owner, deque()).append(called)
        try:
            await called
        except asyncio.CancelledError:
            if not called.cancelled():  # called in the same moment: it is the next one's turn
                self._give_back(owner)
            raise

    def _give_back(self, owner: str) -> None:
        self._free += 1
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        self._call()

    def _call(self) -> None:
        """Call the first whose turn it is; the owner goes to the end of the line. Who has given up is passed over."""
        for owner, waiting in list(self._line.items()):
            while waiting and waiting[0].cancelled():
                waiting.popleft()
            called = bool(waiting) and self._take(owner)
            if called:
                waiting.popleft().set_result(None)
            if called or not waiting:
                del self._line[owner]
            if called and waiting:
                self._line[owner] = waiting
            if called:
                return
