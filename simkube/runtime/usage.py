"""What a container takes of its node: processor time and memory, counted as it happens and never polled.

Processes that are busy share the container's processors: each runs at full speed until there are more of them than the
limit allows, then all run slower (:class:`Processors`). Work in progress is settled when somebody asks or something
changes, so that an idle container costs nothing. It refuses to model caches, priorities between pods and swap.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from simkube.clock.clock import Clock, Future, Timer

WINDOW = 15.0
"""Seconds between two looks of the metrics server (``--metric-resolution``)."""

FRESH = 10.0
"""Seconds a container must have run before its first figure (``freshContainerMinMetricsResolution``)."""

_GRAIN = 2e-6
"""Seconds that count as nothing: times since 1970 cannot be told apart more finely."""

EVER = 1e12
"""Demand, in seconds of processor time, of what never ends by itself."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A look at a container: when (cluster seconds), over how many seconds, cores used, bytes held."""

    at: float
    window: float
    cores: float
    memory: int


class Processors:
    """The processors of one container.

    ``cores`` is its limit, or what its node has; ``idle`` what its main program uses while it waits for work. Changing
    either takes effect from then on.
    """

    __slots__ = ("_busy", "_clock", "_cores", "_heap", "_idle", "_last", "_mark", "_order", "_prior", "_served",
                 "_timer", "_total", "_when")  # fmt: skip

    def __init__(self, clock: Clock, cores: float, idle: float = 0.0) -> None:
        self._clock = clock
        self._cores = cores
        self._idle = idle
        self._when = clock.now()
        self._total = 0.0
        self._served = 0.0
        """Processor seconds that each busy process has had since the beginning."""
        self._busy = 0
        self._heap: list[tuple[float, int, Future[None]]] = []
        self._order = itertools.count()
        self._timer: Timer | None = None
        self._mark = self._when - self._when % WINDOW
        self._last = self._prior = 0.0

    # -- work ------------------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> Future[None]:
        """Use ``seconds`` of processor time; await it to wait until they were had."""
        self._settle()
        future: Future[None] = Future()
        heapq.heappush(self._heap, (self._served + seconds, next(self._order), future))
        self._busy += 1
        future.on_cancel = lambda: self._give_up(future)
        self._plan()
        return future

    def limit(self, cores: float) -> None:
        """Another limit from now on."""
        self._settle()
        self._cores = cores
        self._plan()

    @property
    def cores(self) -> float:
        """How many there are."""
        return self._cores

    @property
    def busy(self) -> int:
        """How many processes want to run."""
        return self._busy

    @property
    def speed(self) -> float:
        """How fast a busy process runs: 1.0 is a processor of its own."""
        return min(1.0, self._cores / self._busy) if self._busy else 1.0

    @property
    def total(self) -> float:
        """Processor seconds used so far."""
        self._settle()
        return self._total

    @property
    def served(self) -> float:
        """Processor seconds that a process would have had that was busy from the beginning."""
        self._settle()
        return self._served

    def _rate(self) -> float:
        return min(self._cores, self._busy + self._idle)

    def _settle(self) -> None:
        """Account for the time since the last change."""
        now = self._clock.now()
        if now <= self._when:
            return
        rate = self._rate()
        mark = now - now % WINDOW
        if mark > self._mark:
            before = mark - WINDOW
            at_before = self._last if before <= self._mark else self._total + rate * (before - self._when)
            self._prior, self._last = at_before, self._total + rate * (mark - self._when)
            self._mark = mark
        elapsed = now - self._when
        self._total += rate * elapsed
        self._served += self.speed * elapsed
        self._when = now

    def _plan(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._heap and self._heap[0][2].done:
            heapq.heappop(self._heap)
        if self._heap and self._heap[0][0] < EVER:
            left = max(0.0, self._heap[0][0] - self._served) / max(self.speed, 1e-6)
            self._timer = self._clock.call_later(left, self._due)

    def _due(self) -> None:
        self._timer = None
        self._settle()
        ready = []
        while self._heap and (self._heap[0][0] <= self._served + _GRAIN or self._heap[0][2].done):
            future = heapq.heappop(self._heap)[2]
            if not future.done:
                ready.append(future)
        self._busy -= len(ready)
        self._plan()
        for future in ready:
            future.set(None)

    def _give_up(self, future: Future[None]) -> None:
        if not future.done:
            self._settle()
            self._busy -= 1
            future.set(None)
            if len(self._heap) > 2 * self._busy + 16:
                self._heap = [one for one in self._heap if not one[2].done]
                heapq.heapify(self._heap)
            self._plan()

    # -- looks -----------------------------------------------------------------------------------------------------

    def sample(self, began: float, memory: int) -> Sample | None:
        """What the metrics server saw of it when it last looked; None when it had run for too short a time then."""
        self._settle()
        if began > self._mark - FRESH:
            return None
        window = min(WINDOW, self._mark - began)
        prior = self._prior if began <= self._mark - WINDOW else 0.0
        return Sample(self._mark, window, max(0.0, self._last - prior) / window, memory)


class Memory:
    """The memory of one node, in bytes: containers take theirs with :meth:`hold`, ``reserved`` is the system's own.

    ``scarce`` is called when more is taken while less than ``mark`` is available, ``exhausted`` when none is left.
    """

    __slots__ = ("capacity", "exhausted", "held", "mark", "reserved", "scarce", "victim")

    def __init__(self, capacity: int, reserved: int) -> None:
        self.capacity = capacity
        self.reserved = reserved
        self.held = 0
        self.mark = 0
        self.scarce: Callable[[], None] = _nothing
        self.exhausted: Callable[[], None] = _nothing
        self.victim: Callable[[str, int], None] = _nothing
        """Told of the process that was killed because there was no memory left: its name and number."""

    @property
    def available(self) -> int:
        """Bytes that nobody holds; below zero when more is asked for than there is."""
        return self.capacity - self.reserved - self.held

    def hold(self, size: int) -> None:
        """Take ``size`` bytes (give back when negative)."""
        self.held += size
        if size > 0:
            self._look()

    def reserve(self, size: int) -> None:
        """Have the system itself take ``size`` bytes."""
        self.reserved = size
        self._look()

    def _look(self) -> None:
        if self.available < self.mark:
            self.scarce()
        if self.available < 0:
            self.exhausted()


def _nothing(*_: object) -> None:
    return None


NODE_CORES = 4.0
NODE_BYTES = 8 << 30
"""Processors and memory of a simulated node."""

SYSTEM_BYTES = 640 << 20
SYSTEM_CORES = 0.055
"""What the kubelet, the container runtime and the operating system take of them."""


__all__ = ["EVER", "FRESH", "NODE_BYTES", "NODE_CORES", "SYSTEM_BYTES", "WINDOW", "Memory", "Processors", "Sample"]
