"""A cluster in real time: its work and its timers, run by an asyncio loop in small slices.

Many clusters share one loop; a slice lasts about :data:`SLICE` seconds and then the others have their turn. A cluster
that has nothing to do has nothing scheduled.
"""

from __future__ import annotations

import asyncio

from simkube.client import WorkLoop
from simkube.clock import Clock

SLICE = 0.005
"""Wall seconds of work before everybody else gets a turn."""


class LiveDriver:
    """Drives one cluster's clock and queue. ``stop()`` may be called any number of times."""

    def __init__(self, aio: asyncio.AbstractEventLoop, clock: Clock, work: WorkLoop) -> None:
        self._aio = aio
        self._clock = clock
        self._work = work
        self._soon: asyncio.Handle | None = None
        self._later: asyncio.TimerHandle | None = None
        self.slices = 0

    def start(self) -> None:
        """Begin with what waits already."""
        self._work.drive(self._wake)
        self._clock.drive(self._wake_in)

    def stop(self) -> None:
        """Run nothing any more."""
        self._work.drive(None)
        self._clock.drive(None)
        for handle in (self._soon, self._later):
            if handle is not None:
                handle.cancel()
        self._soon = self._later = None

    def _wake(self) -> None:
        if self._soon is None:
            self._soon = self._aio.call_soon(self._run)

    def _wake_in(self, seconds: float | None) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if seconds is not None:
            self._later = self._aio.call_later(seconds, self._wake)

    def _run(self) -> None:
        self._soon = None
        self.slices += 1
        self._clock.run_due()
        if self._work.run_for(SLICE):
            self._wake()
