"""Which pod is placed next, and when one that fitted nowhere is tried again.

A pod is in one of four places: *active* (it has its turn soon, the most important first, of equals the one that came
first), *in flight* (it is being placed, or waits on a node for its volumes), *backing off*, or *unschedulable* (until a
change that could help it). What changes while a pod is in flight is remembered for it, so that no change falls between
two places. Source: ``pkg/scheduler/backend/queue`` (scheduling_queue.go, active_queue.go, backoff_queue.go).

It refuses to try anything by the clock alone: a cluster in which nothing changes does nothing.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from simkube.client.client import Key, Obj, key_of
from simkube.clock.clock import Clock, Timer

FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 10.0
FEW = 10
"""While no more pods than this wait, none of them waits for its back-off, as where nothing else is to be placed."""
HASTE = 10
"""So often is one pod tried within its back-off."""
EVERY = "*"
"""Every plugin."""


@dataclass(frozen=True, slots=True)
class Change:
    """What happened in the cluster: the plugins that may answer differently now, and to which pods (None: to all)."""

    plugins: frozenset[str]
    concerns: Callable[[Obj], bool] | None = None


@dataclass(slots=True, eq=False)
class Queued:
    """A pod on its way: who refused it, how often it was tried, until when it backs off."""

    pod: Obj
    priority: int
    plugins: set[str] = field(default_factory=set)
    attempts: int = 0
    hasty: int = 0
    until: float = 0.0
    cause: int = 0
    changed: set[str] = field(default_factory=set)
    """While it is in flight: the plugins that may answer differently by now."""
    timer: Timer | None = None

    def helped_by(self, change: Change) -> bool:
        """Whether a plugin that refused it may say something else now."""
        if not (EVERY in change.plugins or EVERY in self.plugins or self.plugins & change.plugins):
            return False
        return change.concerns is None or change.concerns(self.pod)


class SchedulingQueue:
    """See the module. ``turn`` is told of each pod that becomes active."""

    def __init__(self, clock: Clock, turn: Callable[[Key], None]) -> None:
        self._clock, self._turn = clock, turn
        self._heap: list[tuple[int, int, Queued]] = []
        self._order = itertools.count()
        self._active: dict[Key, Queued] = {}
        self._waiting: dict[Key, Queued] = {}
        """Unschedulable or, with a timer, backing off."""
        self._in_flight: dict[Key, Queued] = {}

    def put(self, pod: Obj, priority: int) -> None:
        """A pod is new, or has changed so that it may fit now; one in flight is tried again if this attempt fails."""
        key = key_of(pod)
        flying = self._in_flight.get(key)
        if flying is not None:
            flying.pod = pod
            flying.changed.add(EVERY)
            return
        queued = self._active.get(key)
        if queued is not None and queued.priority == priority:
            queued.pod = pod
            return
        before = self._waiting.get(key)
        self.drop(key)
        self._activate(Queued(pod, priority, attempts=before.attempts if before else 0))

    def refresh(self, pod: Obj) -> None:
        """Take over what a pod has become when nothing changed that could help it."""
        for place in (self._active, self._waiting, self._in_flight):
            if key_of(pod) in place:
                place[key_of(pod)].pod = pod

    def drop(self, key: Key) -> None:
        """A pod is to be placed no more: it is gone, bound, or somebody else's."""
        self._active.pop(key, None)
        self._in_flight.pop(key, None)
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            _cancel(waiting)

    def pop(self) -> Queued | None:
        """The next pod, in flight from now on until :meth:`drop` or :meth:`give_back`; None when none is active."""
        while self._heap:
            queued = heapq.heappop(self._heap)[2]
            key = key_of(queued.pod)
            if self._active.get(key) is queued:
                del self._active[key]
                queued.hasty = queued.hasty + 1 if self._clock.now() < queued.until else 0
                queued.changed = set()
                self._in_flight[key] = queued
                return queued
        return None

    def head(self) -> Key | None:
        """Whose turn it is next."""
        while self._heap and self._active.get(key_of(self._heap[0][2].pod)) is not self._heap[0][2]:
            heapq.heappop(self._heap)
        return key_of(self._heap[0][2].pod) if self._heap else None

    def in_flight(self, key: Key) -> Queued | None:
        """What flies under that key."""
        return self._in_flight.get(key)

    def give_back(self, queued: Queued, plugins: Iterable[str]) -> None:
        """The pod fitted nowhere: these plugins refused it; none did when the attempt went wrong, which backs off."""
        key = key_of(queued.pod)
        if self._in_flight.get(key) is not queued:
            return  # it was dropped meanwhile
        del self._in_flight[key]
        queued.attempts += 1
        queued.until = self._clock.now() + min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(queued.attempts - 1, 8))
        queued.plugins = set(plugins)
        self._waiting[key] = queued
        if not queued.plugins:
            self._back_off(key, queued)
        elif queued.changed and queued.helped_by(Change(frozenset(queued.changed))):
            self._try_again(key, queued)

    def move(self, change: Change) -> None:
        """Something changed: what it may help is tried again."""
        for queued in self._in_flight.values():
            if change.concerns is None or change.concerns(queued.pod):
                queued.changed |= change.plugins
        for key, queued in list(self._waiting.items()):
            if queued.timer is None and queued.helped_by(change):
                self._try_again(key, queued)

    def activate(self, key: Key) -> None:
        """Give a waiting pod its turn now; a no-op when it does not wait."""
        if key in self._waiting:
            self._end_waiting(key, self._waiting[key])

    def close(self) -> None:
        """Forget everything."""
        for queued in self._waiting.values():
            _cancel(queued)
        for place in (self._active, self._waiting, self._in_flight):
            place.clear()
        self._heap.clear()

    def _try_again(self, key: Key, queued: Queued) -> None:
        backs_off = self._clock.now() < queued.until
        if backs_off and (len(self._waiting) > FEW or queued.hasty >= HASTE):
            self._back_off(key, queued)
        else:
            self._end_waiting(key, queued)

    def _back_off(self, key: Key, queued: Queued) -> None:
        left = queued.until - self._clock.now()
        queued.timer = self._clock.call_later(left, lambda: self._end_waiting(key, queued))

    def _end_waiting(self, key: Key, queued: Queued) -> None:
        _cancel(queued)
        if self._waiting.pop(key, None) is not None:
            self._activate(queued)

    def _activate(self, queued: Queued) -> None:
        queued.cause = self._clock.cause
        self._active[key_of(queued.pod)] = queued
        heapq.heappush(self._heap, (-queued.priority, next(self._order), queued))
        self._turn(key_of(queued.pod))


def _cancel(queued: Queued) -> None:
    if queued.timer is not None:
        queued.timer.cancel()
        queued.timer = None
