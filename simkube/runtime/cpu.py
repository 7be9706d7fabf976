"""How much work simulated programs may do, so that a user's busy loop does not take the host.

Work is counted in steps: about one command of a shell script, or a few hundred bytes handled by an applet. A
container has a bucket of steps that fills with cluster time, as under a CPU limit; all containers of a cluster
share another one. Whoever finds it empty waits on the clock.
"""

from __future__ import annotations

from simkube.clock.clock import Clock

SLICE = 100
"""Steps done in one go before others get a turn."""

PAUSE = 0.004
"""Seconds of cluster time between two slices while there is budget."""


class CPU:
    """A bucket of ``burst`` steps that fills with ``rate`` steps a second; ``parent`` is charged as well."""

    __slots__ = ("_burst", "_clock", "_left", "_parent", "_rate", "_sliced", "_when", "used")

    def __init__(self, clock: Clock, rate: float, burst: float, parent: CPU | None = None) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._when = clock.now()
        self._parent = parent
        self._sliced = 0.0
        self.used = 0.0

    def charge(self, steps: float) -> float:
        """Note work done; the seconds its doer must wait before it goes on (0.0: none)."""
        self.used += steps
        self._sliced += steps
        if self._sliced < SLICE:
            return 0.0
        steps, self._sliced = self._sliced, 0.0
        wait = self._take(steps)
        if self._parent is not None:
            wait = max(wait, self._parent._take(steps))
        return max(wait, PAUSE)

    def _take(self, steps: float) -> float:
        now = self._clock.now()
        self._left = min(self._burst, self._left + (now - self._when) * self._rate) - steps
        self._when = now
        return 0.0 if self._left >= 0 else -self._left / self._rate
