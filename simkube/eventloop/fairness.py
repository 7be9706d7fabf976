"""Who may have the event loop that all clusters of a host share: nobody's flood is felt by a neighbour.

Each cluster has an account of the time for which it keeps the loop (of the wall clock, because nobody else can be
served meanwhile): requests, watches, the slices of its controllers. The account drains as time passes, no faster while
nobody else is there: whoever comes back finds a flood a debtor already, not with its burst before it. While others want
the loop too, a cluster whose account is over :data:`BURST` is a debtor, and waits before its next piece of work
as long as draining takes; alone, it may have the whole loop, one piece of work at a time: between two of a debtor's the
loop looks whether anybody else wants something by now, whose first request after a pause would wait for all of them
otherwise. A fast clock always has more to do: it has no such burst,
and rests after each slice. Work is neither refused nor reordered within a cluster; only absurd queues are answered
with 429.

Work for whoever has not said who they are is no cluster's: it is on the account of the address it comes from, for which
nobody else waits, until it is known whose it is.

It refuses to interrupt work that has begun: long work has to come in pieces, with a :meth:`Share.pause` between them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any, ClassVar, TypeVar

from simkube.apimachinery.errors import StatusError

T = TypeVar("T")

BURST = 0.5
"""Seconds of loop time that a cluster may use at once, as a command of a user's does, before it is a debtor."""
ALLOWED = 0.25
"""The part of the loop with which the account of a cluster that is no debtor drains."""
DEBTORS = 0.1
"""The part of the loop that all debtors have together while anybody else is active."""
ACTIVE_SECONDS = 2.0
"""How long after a request a cluster counts as active."""
MOST_DELAY = 5.0
"""The longest wait for one piece of work, in seconds."""
MOST_OVER = MOST_DELAY * DEBTORS
"""What an account is over beyond that is let off."""
PASSES = 2
"""How often the loop goes round between two pieces of debtors' work: a request is read, and then it is begun."""
MOST_ADDRESSES = 1000
"""Addresses with an account of their own; strangers from further ones share one."""
SCARCE_SECONDS = 5
"""After which who was refused for want of memory is told to try again."""
MOST_WAITING = 200
"""Requests of one cluster that may wait for their turn."""


class Shares:
    """The accounts of all clusters of one loop, on a monotonic clock in seconds.

    ``allowed`` and ``debtors`` are the parts of the loop that are explained at :data:`ALLOWED` and :data:`DEBTORS`.
    """

    def __init__(
        self, now: Callable[[], float] = time.monotonic, *, allowed: float = ALLOWED, debtors: float = DEBTORS
    ) -> None:
        self.now = now
        self.allowed, self.owed = allowed, debtors
        self._strangers: dict[str, Share] = {}
        self.active: dict[Share, float] = {}
        """When each cluster last asked for something, the longest ago first."""
        self.debtors: set[Share] = set()
        self.restless: set[Share] = set()
        """Whose work has no end of itself (a fast clock's)."""
        self.scarce: Callable[[], str] = lambda: ""
        """Why nothing may be begun that takes more memory; "" while it may."""
        self._gate = asyncio.Lock()

    def open(self) -> Share:
        """An account for one more cluster."""
        return Share(self)

    async def breath(self) -> None:
        """Before a piece of a debtor's work: whoever has just come is seen first. Debtors go through it one by one."""
        async with self._gate:
            for _ in range(PASSES):
                await asyncio.sleep(0)

    def stranger(self, address: str) -> Share:
        """The account of who has not said who they are, by where they come from. Nobody waits because of it."""
        if address not in self._strangers and len(self._strangers) >= MOST_ADDRESSES:
            address = ""
        return self._strangers.setdefault(address, Share(self, known=False))

    def anybody(self) -> bool:
        """Whether any cluster is asked for something these days."""
        oldest = self.now() - ACTIVE_SECONDS
        return any(asked >= oldest for asked in self.active.values())

    def quiet_neighbours(self, share: Share) -> bool:
        """Whether anybody else who is not in debt wants the loop."""
        oldest = self.now() - ACTIVE_SECONDS
        for other, asked in list(self.active.items()):
            if asked >= oldest:
                break
            del self.active[other]
        return any(other is not share and other not in self.debtors for other in self.active)


class Share:
    """One cluster's account, or a stranger's, who has no claim on others (``known``)."""

    def __init__(self, shares: Shares, *, known: bool = True) -> None:
        self._shares = shares
        self._known = known
        self._used = 0.0
        self._when = shares.now()
        self._turns = asyncio.Lock()
        self._waiting = 0

    def asked(self) -> None:
        """Its user wants something now."""
        if self._known:
            self._shares.active.pop(self, None)
            self._shares.active[self] = self._shares.now()

    def stranger(self, address: str) -> Share:
        """See :meth:`Shares.stranger`."""
        return self._shares.stranger(address)

    def close(self) -> None:
        """The cluster ends; nobody waits because of it any more."""
        self._shares.active.pop(self, None)
        self._shares.debtors.discard(self)
        self.rested()

    def rest(self, seconds: float) -> float:
        """Seconds to wait after so many of work that has no end of itself: no burst is meant for that."""
        self._shares.restless.add(self)
        if not self._shares.quiet_neighbours(self):
            return 0.0
        return min(MOST_DELAY, seconds * (len(self._shares.restless | self._shares.debtors) / self._shares.owed - 1))

    def rested(self) -> None:
        """There is no such work any more; a no-op when there was none."""
        self._shares.restless.discard(self)

    def charge(self, seconds: float) -> None:
        """Note loop time that was used."""
        self._drain()
        self._used = min(self._used + seconds, BURST + MOST_OVER)
        if self._used > BURST:
            self._shares.debtors.add(self)

    def delay(self) -> float:
        """Seconds until the next piece of work may begin; 0.0 when at once."""
        rate = self._drain()
        if self not in self._shares.debtors or not self._shares.quiet_neighbours(self):
            return 0.0
        return min(MOST_DELAY, (self._used - BURST) / rate)

    def _drain(self) -> float:
        """Take off what the time since the last look allows; the part of the loop it has at present."""
        rate = self._rate()
        now = self._shares.now()
        self._used = max(0.0, self._used - (now - self._when) * rate)
        self._when = now
        if self._used <= BURST:
            self._shares.debtors.discard(self)
        return rate

    def _rate(self) -> float:
        debtors = self._shares.debtors
        beside = self in debtors and self._shares.quiet_neighbours(self)
        return DEBTORS / len(debtors) if beside else ALLOWED

    async def turn(self) -> None:
        """Wait until this cluster may use the loop, in the order of asking."""
        if not self._turns.locked() and not self.delay() and self not in self._shares.debtors:
            return
        async with self._turns:
            while True:
                while (seconds := self.delay()) > 0:
                    await asyncio.sleep(seconds)
                if self not in self._shares.debtors:
                    return
                await self._shares.breath()
                if not self.delay():  # nobody has come meanwhile
                    return

    async def pause(self) -> None:
        """Between two pieces of long work: the others first, then this cluster's next turn."""
        await asyncio.sleep(0)
        await self.turn()

    def refuse_growth(self) -> None:
        """StatusError 429 while there is no memory for what takes more of it."""
        why = self._shares.scarce()
        if why:
            raise StatusError(429, "TooManyRequests", why, {"retryAfterSeconds": SCARCE_SECONDS})

    async def request(self) -> None:
        """The turn of a new request, which is charged here from now on; StatusError 429 when too many wait already."""
        if Metered.running is not None:
            Metered.running.share = self
        self.asked()
        if self._waiting >= MOST_WAITING:
            whose = "to this cluster" if self._known else "without a valid credential"
            message = f"{MOST_WAITING} requests {whose} are waiting already; send fewer at a time"
            raise StatusError(429, "TooManyRequests", message, {"retryAfterSeconds": 1})
        self._waiting += 1
        try:
            await self.turn()
        finally:
            self._waiting -= 1

    async def thread(self, work: Callable[[], T]) -> T:
        """The result of ``work``, which must touch nothing of the cluster, done aside from the loop and charged."""
        await self.turn()

        def timed() -> tuple[T | None, Exception | None, float]:
            began = time.thread_time()
            try:
                return work(), None, time.thread_time() - began
            except Exception as error:  # noqa: BLE001 - raised again below, in whoever asked
                return None, error, time.thread_time() - began

        made, failure, seconds = await asyncio.to_thread(timed)
        self.charge(seconds)
        if failure is not None:
            raise failure
        return made  # type: ignore[return-value]  # there was no failure

    def metered(self, work: Coroutine[Any, Any, T]) -> Metered[T]:
        """Await it to have ``work`` done, with every one of its steps charged."""
        return Metered(self, work)


class Metered(Generator[Any, Any, T]):
    """Something to await that charges a share for the loop time of a coroutine's steps, not for its waits.

    ``share`` may be another at the end of a step than at its beginning: it is known by then who is to be charged.
    """

    running: ClassVar[Metered[Any] | None] = None
    """Whose step is being done in this thread, which is the loop's."""

    def __init__(self, share: Share, work: Coroutine[Any, Any, T]) -> None:
        self.share = share
        self._work = work

    def __await__(self) -> Generator[Any, Any, T]:
        return self

    def send(self, value: Any) -> Any:
        """One step of the work."""
        return self._step(lambda: self._work.send(value))

    def throw(self, kind: Any, value: Any = None, trace: Any = None) -> Any:
        """One step of the work that begins with an error."""
        whole = (kind,) if value is None and trace is None else (kind, value, trace)
        return self._step(lambda: self._work.throw(*whole))

    def _step(self, work: Callable[[], Any]) -> Any:
        began, before = time.perf_counter(), Metered.running
        Metered.running = self
        try:
            return work()
        finally:
            Metered.running = before
            self.share.charge(time.perf_counter() - began)

    def close(self) -> None:
        """End the work."""
        self._work.close()


__all__ = ["Metered", "Share", "Shares"]
