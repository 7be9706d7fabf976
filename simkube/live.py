"""A cluster in real time: its work and its timers, run by an asyncio loop in small slices.

Many clusters share one loop; a slice lasts about :data:`SLICE` seconds and then the others have their turn. What it
takes is charged to the cluster's share, which also says how long a cluster that floods the loop has to wait. A cluster
that has nothing to do has nothing scheduled.
"""

from __future__ import annotations

import asyncio
import time

from simkube.client import WorkLoop
from simkube.clock import Clock
from simkube.sharing import Share

SLICE = 0.002
"""Wall seconds of work before everybody else gets a turn."""


class LiveDriver:
    """Drives one cluster's clock and queue. ``stop()`` may be called any number of times."""

    def __init__(self, aio: asyncio.AbstractEventLoop, clock: Clock, work: WorkLoop, share: Share) -> None:
        self._aio = aio
        self._clock = clock
        self._work = work
        self._share = share
        self._next: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
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

    def _wake(self) -> None:
        if self._next is None:
            delay = self._share.delay()
            self._next = self._aio.call_later(delay, self._run) if delay else self._aio.call_soon(self._run)

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
        self._clock.run_due()
        waits = self._work.run_for(SLICE)
        self._share.charge(time.perf_counter() - began)
        if waits:
            self._wake()
