"""A clock that lets others look whenever time passes: how something is followed while a check does other things.

A check lets time pass only by waiting; so whoever follows the cluster is called between two waits, in the check's own
thread. On a fork nobody else could know when to look, since time jumps; in place it costs no thread.
"""

from __future__ import annotations

from typing import Protocol

from grader.clock import Clock, Look, PlainLook


class Sampler(Protocol):
    """Somebody who looks now and then."""

    due: float
    """When to look next, of the cluster's time."""

    def take(self, now: float) -> None:
        """Look, and set ``due`` anew. Raises nothing but what ends the check."""


class SampledClock:
    """Keeps :class:`grader.clock.Clock`: the time of another clock, with pauses to look in every longer wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samplers: list[Sampler] = []
        self._looking = False

    def add(self, sampler: Sampler) -> None:
        """Have it look from now on, at once."""
        self._samplers.append(sampler)
        self._look()

    def remove(self, sampler: Sampler) -> None:
        """No more."""
        self._samplers.remove(sampler)

    def now(self) -> float:
        """See :class:`Clock`."""
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """See :class:`Clock`."""
        if self._idle():
            self._clock.sleep(seconds)
            return
        end = self._clock.now() + seconds
        while (left := end - self._clock.now()) > 0:
            due = min(one.due for one in self._samplers) - self._clock.now()
            self._clock.sleep(min(left, max(due, 0.01)))
            self._look()

    def look(self) -> Look:
        """See :class:`Clock`. While somebody follows the cluster no step is left out: they would miss it."""
        return self._clock.look() if self._idle() else _SampledLook(self, PlainLook(self._clock))

    def _idle(self) -> bool:
        return self._looking or not self._samplers

    def _look(self) -> None:
        """Call whoever's time has come; what they wait for themselves is not looked at."""
        self._looking = True
        try:
            now = self._clock.now()
            for one in self._samplers:
                if one.due <= now:
                    one.take(now)
        finally:
            self._looking = False


class _SampledLook:
    def __init__(self, clock: SampledClock, look: Look) -> None:
        self._clock, self._inner = clock, look

    def again(self, every: float, deadline: float) -> bool:
        """See :class:`Look`."""
        waited = self._inner.again(every, deadline)
        self._clock._look()
        return waited
