"""Between the cluster's clock and asyncio: awaiting a simulated future, and pumping what is produced synchronously.

Both run in one thread, so nothing is locked.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar

from simkube.apiserver.streams.limits import Budget
from simkube.clock.clock import Clock, Future, spawn

T = TypeVar("T")


def _transfer(source: Future[T], target: asyncio.Future[T]) -> None:
    if target.done():
        return
    try:
        target.set_result(source.result())
    except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits the target
        target.set_exception(error)


async def wait(future: Future[T], clock: Clock) -> T:
    """The result of a simulated future of that clock's cluster; it is left alone when this wait is cancelled."""
    target: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    future.when_done(lambda done: _transfer(done, target))
    with clock.awaited(future):
        return await target


async def settled(future: Future[Any], clock: Clock) -> None:
    """Wait until a simulated future has a result or an error, whichever; it is left alone when this is cancelled."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.when_done(lambda _: None if done.done() else done.set_result(None))
    with clock.awaited(future):
        await done


async def run(coroutine: Coroutine[Any, Any, T], clock: Clock, seconds: float) -> T:
    """The result of simulated work, cancelled after ``seconds`` of wall time (TimeoutError) or with this call."""
    task = spawn(coroutine)
    try:
        return await asyncio.wait_for(wait(task, clock), seconds)
    finally:
        task.cancel()


class Outbox:
    """Pieces of output that wait to be sent; bounded by itself and by its cluster's budget, see :attr:`overflowed`."""

    def __init__(self, most: int, budget: Budget) -> None:
        self._most = most
        self._budget = budget
        self._size = 0
        self._pieces: deque[tuple[int, bytes]] = deque()
        self._ready = asyncio.Event()
        self.closed = False
        self.overflowed = False

    def put(self, channel: int, data: bytes) -> None:
        """Have ``data`` sent; nothing more is taken once closed or overflowed."""
        if self.closed or self.overflowed:
            return
        if self._size + len(data) > self._most or not self._budget.take(len(data)):
            self.overflowed = True
        else:
            self._size += len(data)
            self._pieces.append((channel, data))
        self._ready.set()

    def close(self) -> None:
        """Nothing more comes; what waits is still given out."""
        self.closed = True
        self._ready.set()

    async def take(self) -> tuple[int, bytes] | None:
        """The next piece; None when closed (or overflowed) and empty."""
        while not self._pieces:
            if self.closed or self.overflowed:
                return None
            self._ready.clear()
            await self._ready.wait()
        channel, data = self._pieces.popleft()
        self._size -= len(data)
        self._budget.give(len(data))
        return channel, data

    def discard(self) -> None:
        """Nobody reads any more: forget what waits and take nothing new."""
        self.close()
        self._pieces.clear()
        self._budget.give(self._size)
        self._size = 0
