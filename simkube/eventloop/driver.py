"""A cluster in real time: its work and its timers, run by an asyncio loop in small slices.

Many clusters share one loop; a slice lasts about :data:`SLICE` seconds and then the others have their turn. What it
takes is charged to the cluster's share, which also says how long a cluster that floods the loop has to wait: a clock
that runs a thousand times as fast rests between its slices while anybody else wants the loop. A cluster that has
nothing to do has nothing scheduled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from simkube.client.workqueue import WorkLoop
from simkube.clock.pace import PacedClock
from simkube.eventloop.fairness import Share

RECOVERY = 1.0
"""Wall seconds of rest after a slice that failed as nobody foresaw."""
SLICE = 0.002
"""Wall seconds of work before everybody else gets a turn."""


def run_slice(clock: PacedClock, work: WorkLoop, seconds: float = SLICE) -> bool:
    """Do what is to be done at this moment of cluster time, for about so many wall seconds; whether more waits.

    A clock that stands still lets nothing happen. One that is not the wall clock's moves on from timer to timer, as far
    as it has got meanwhile.
    """
    until = time.perf_counter() + seconds
    while not clock.standing:
        if not len(work):
            clock.release()
        ran = clock.run_due(until)
        waits = work.run_for(max(0.0, until - time.perf_counter()))
        if waits:
            return True
        clock.release()
        if not ran:
            return False
        if time.perf_counter() >= until:
            due = clock.next_due()
            return due is not None and due <= clock.now()
    return False


class LiveDriver:
    """Drives one cluster's clock and queue. ``stop()`` may be called any number of times."""

    def __init__(self, aio: asyncio.AbstractEventLoop, clock: PacedClock, work: WorkLoop, share: Share) -> None:
        self._aio = aio
        self._clock = clock
        self._work = work
        self._share = share
        self._next: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._told: list[Callable[[], None]] = []
        self._rests_until = 0.0
        self.slices = 0

    def start(self) -> None:
        """Begin with what waits already."""
        self._work.drive(self._wake)
        self._clock.drive(self._wake_in)

    def stop(self) -> None:
        """Run nothing any more."""
        self._work.drive(None)
        self._clock.drive(None)
        for handle in (self._next, self._timer):
            if handle is not None:
                handle.cancel()
        self._next = self._timer = None
        self._tell()

    def changed(self) -> None:
        """The clock was told to run otherwise."""
        if not self._clock.stepping:
            self._tell()
        if not self._clock.fast:
            self._share.rested()
            self._rests_until = 0.0
        self._wake()

    def when_arrived(self, call: Callable[[], None]) -> None:
        """Call ``call`` once the present step has ended, as it was meant to or not; at once without one."""
        if self._clock.stepping:
            self._told.append(call)
        else:
            call()

    def _tell(self) -> None:
        told, self._told = self._told, []
        for call in told:
            call()

    def _wake(self) -> None:
        if self._next is None:
            delay = max(self._share.delay(), self._rests_until - self._aio.time())
            self._next = self._aio.call_later(delay, self._run) if delay > 0 else self._aio.call_soon(self._run)

    def _wake_in(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            self._timer = self._aio.call_later(seconds, self._wake)

    def _run(self) -> None:
        self._next = None
        self.slices += 1
        began = time.perf_counter()
        try:
            waits = run_slice(self._clock, self._work)
        except Exception as error:  # noqa: BLE001 - what is left is done later
            self._clock.crashes.handle("cluster", "running what is due", error)
            self._rests_until = self._aio.time() + RECOVERY
            self._wake()
            return
        took = time.perf_counter() - began
        self._share.charge(took)
        self._rests_until = self._aio.time() + self._share.rest(took) if self._clock.fast else 0.0
        if waits:
            self._wake()
        elif self._clock.arrived():
            self._tell()
