"""The clock of a live cluster: it runs with the wall clock, slower, faster, not at all, or a step at a time.

At speed 1 cluster time is the wall clock's plus a constant. Should the wall clock be set, or the machine sleep, cluster
time goes on from where it was: nothing is due an hour early or late, and no lease runs out for it. The same when the
process was kept from running for more than :data:`MOST_LATE`, as one that was stopped or swapped out.

At any other speed time is simulated: it stops at each timer until that has run, and stands still while work waits, so
that everything happens at its own time and in its own order however fast the clock is. A machine (or a share of it)
that cannot keep up makes the clock slower, never late: what a cluster lags behind by more than :data:`MOST_LAG` is let
off.

Where time stands is kept beside the objects, so that killing the host neither resumes a paused cluster nor takes a
clock back: what is kept is never behind a time that was handed out.

A copy of a cluster, which nobody but a program looks at, has virtual time (:meth:`PacedClock.virtual`): its clock
stands still, and jumps from timer to timer while somebody waits for something to happen in the cluster, until it has.

It refuses speeds outside :data:`SLOWEST` to :data:`FASTEST`, steps of more than :data:`LONGEST_STEP`, and to get more
than :data:`FURTHEST` ahead of the wall clock: a fast clock stands still there.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol

from simkube.apimachinery.errors import HostError, StoreError
from simkube.clock.clock import Clock, Future

SLOWEST, FASTEST = 0.1, 1000.0
LONGEST_STEP = 7 * 86400.0
"""Cluster seconds."""
FURTHEST = 10 * 365 * 86400.0
"""Seconds."""
MOST_LAG = 0.1
"""Wall seconds that a clock may make up for after it was kept from running."""
JUMP = 1.0
"""Seconds by which the wall clock must have moved against the steady one to count as having been set."""
MOST_LATE = 10.0
"""Seconds that a timer may be late at speed 1 before what is more is let off: less than what any lease allows."""
KEPT_AHEAD = 1.0
"""For so many wall seconds of its speed a clock is kept in advance, so that it need not be written all the time."""
_KEY = "clock"


@dataclass(frozen=True, slots=True)
class Beginning:
    """How the clock of a new cluster stands: at a time (seconds since the epoch), with a speed, running or not."""

    at: float
    speed: float = 1.0
    paused: bool = False


class Side(Protocol):
    """Where the clock's state is kept (:class:`simkube.etcd.store.Side`)."""

    def put(self, key: str, value: Any) -> None: ...

    def get(self, key: str) -> Any: ...


def begin(side: Side, beginning: Beginning) -> None:
    """Have the clock that is made on ``side`` next begin like this."""
    side.put(_KEY, {"at": beginning.at, "speed": beginning.speed, "paused": beginning.paused})


class PacedClock(Clock):
    """See the module. ``speed`` and ``paused`` are what was wished; while it is pinned it runs at speed 1 all the same.

    ``wall`` is the time of day, ``ticks`` a steady clock that no sleeping laptop moves, both in seconds.
    """

    def __init__(
        self, side: Side, wall: Callable[[], float] = time.time, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._side = side
        self._wall, self._ticks = wall, ticks
        kept = side.get(_KEY) or {}
        self.speed = float(kept.get("speed", 1.0))
        self.paused = bool(kept.get("paused", False))
        self._pinned_until = float(kept.get("pinned", 0.0))
        self._pinned = self._pinned_until > wall()
        self._anchor = (wall(), ticks())
        self._pin_ends = ticks() + self._pinned_until - wall()
        self._goal: float | None = None
        self._held: float | None = None
        self._at_timer = False
        self._virtual = False
        self._awaited: set[Future[Any]] = set()
        self._occupied = 0
        self._offset: float = kept.get("offset", 0.0)
        self._at = float(kept["at"]) if "at" in kept else wall() + self._offset
        self._bound = self._at
        self._mark = ticks()
        if self._follows and "at" in kept:
            self._offset = self._at - wall()

    @property
    def pinned(self) -> bool:
        """Whether it runs at speed 1 whatever was wished; ends by itself."""
        if self._pinned and self._ticks() >= self._pin_ends:
            self.unpin()
        return self._pinned

    @property
    def in_virtual_time(self) -> bool:
        """Whether time passes only while somebody waits for something."""
        return self._virtual

    @property
    def standing(self) -> bool:
        """Whether time stands still and nothing may run."""
        return self.paused and not self._pinned and self._goal is None and not self._virtual

    @property
    def stepping(self) -> bool:
        """Whether it is on its way to the end of a step."""
        return self._goal is not None

    @property
    def fast(self) -> bool:
        """Whether it gains on the wall clock, as long as nobody stops it."""
        return self.speed > 1.0 and not self.paused and not self._pinned

    @property
    def _follows(self) -> bool:
        return self._pinned or bool(self.speed == 1.0 and not self.paused)

    def now(self) -> float:
        """Cluster time."""
        if self._follows:
            return self._following()
        if self._held is None and not self._at_timer and not self.standing:
            self._move()
        return self._at

    def wall(self) -> float:
        """The time of day."""
        return self._wall()

    def _following(self) -> float:
        """The wall clock's time plus a constant, which makes up for it when somebody has set the wall clock."""
        wall, ticks = self._wall(), self._ticks()
        jump = (wall - self._anchor[0]) - (ticks - self._anchor[1])
        if abs(jump) > JUMP:
            self._anchor = (wall, ticks)
            self._shift(-jump)
        return wall + self._offset

    def _shift(self, seconds: float) -> None:
        """Change the constant; while nothing can be stored, a restart would take that back, and nothing else."""
        self._offset += seconds
        with contextlib.suppress(StoreError):
            self._write()

    def run_due(self, until: float = inf) -> int:
        """See :meth:`Clock.run_due`. What a clock is late by beyond all measure, it was not running for."""
        if self._follows and (due := self.next_due()) is not None:
            late = self._following() - due
            if late > MOST_LATE:
                self._shift(-late)
        return super().run_due(until)

    def _move(self) -> None:
        """Let as much time pass as there was, but not past a timer that has not run."""
        due = self.next_due()
        if self._goal is not None:
            if due is not None or self._goal < inf:
                self._at = max(self._at, self._goal if due is None else min(due, self._goal))
            return
        if self._virtual:
            return
        ticks = self._ticks()
        furthest = max(self._at, self._wall() + FURTHEST)
        target = min(self._at + (ticks - self._mark) * self.speed, furthest)
        if due is not None and due < target:
            due = max(due, self._at)
            self._mark = max(self._mark + (due - self._at) / self.speed, ticks - MOST_LAG)
            self._at = due
        else:
            self._mark, self._at = ticks, target
        if self._at > self._bound:
            self._keep_or_wait()

    def _keep_or_wait(self) -> None:
        """No time is handed out that could be taken back: while nothing can be stored, time stands still."""
        before = self._bound
        try:
            self._keep()
        except StoreError:
            self._at = self._bound = before

    def _run_first(self) -> None:
        """Time stands still while a timer runs."""
        self._at_timer = True
        try:
            super()._run_first()
        finally:
            self._at_timer = False

    # -- work --------------------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Work has come: time stands still until :meth:`release`."""
        if self._held is None and not self._follows:
            self.now()
            self._held = self._ticks()

    def release(self) -> None:
        """No work is left at this moment; the wall time it took does not count."""
        if self._held is not None:
            self._mark += self._ticks() - self._held
            self._held = None
            self._ask_for_wakeup()

    # -- wishes ------------------------------------------------------------------------------------------------------

    def run_at(self, speed: float) -> None:
        """Run at a speed (1.0 is the wall clock's) from now on; ends a pause. HostError for one that is too much."""
        if not SLOWEST <= speed <= FASTEST:
            raise HostError(f"a clock's speed is between {SLOWEST:g} and {FASTEST:g}, not {speed:g}")
        self._change(speed=float(speed), paused=False)

    def pause(self) -> None:
        """Stand still, also in the middle of a step."""
        self._change(paused=True)

    def resume(self) -> None:
        """Run again, at the speed it had."""
        self._change(paused=False)

    def step_to(self, seconds: float) -> None:
        """Pause, and have the next ``seconds`` happen as fast as can be; :meth:`arrived` ends it."""
        if not 0 <= seconds <= LONGEST_STEP:
            raise HostError(f"a step is at most {LONGEST_STEP:g} seconds, not {seconds:g}")
        self._change(paused=True)
        if self._at + seconds > self._wall() + FURTHEST:
            raise HostError("this clock is ten years ahead already; make a new one to begin anew")
        self._goal = self._at + seconds
        if self._goal > self._bound:
            self._bound = self._goal
            self._write()
        self._ask_for_wakeup()

    def arrived(self) -> bool:
        """Whether a step has come to its end, asked when no work waits; then time stands still again."""
        if self._goal is None or self._pinned or self._virtual:
            return False
        due = self.next_due()
        if due is not None and due <= self._goal:
            return False
        self._at, self._goal = self._goal, None
        return True

    def pin(self, seconds: float) -> None:
        """Run at speed 1, whatever is wished, for at most so many wall seconds; :meth:`unpin` ends it."""
        self._change(pinned_for=seconds)

    def unpin(self) -> None:
        """Back to what was wished."""
        self._change(pinned_for=0.0)

    # -- virtual time ------------------------------------------------------------------------------------------------

    def virtual(self) -> None:
        """From now on time passes only while somebody waits for something (:meth:`awaited`), as fast as can be."""
        self._change(paused=True, pinned_for=0.0)
        self._virtual, self._bound = True, inf

    @contextlib.contextmanager
    def awaited(self, future: Future[Any]) -> Iterator[None]:
        """See :meth:`Clock.awaited`. Virtual time stops at the very moment at which ``future`` is done."""
        if not self._virtual or future.done:
            yield
            return
        self._awaited.add(future)
        future.when_done(self._no_longer_awaited)
        self._pass_or_stand()
        try:
            yield
        finally:
            self._no_longer_awaited(future)

    @contextlib.contextmanager
    def occupied(self) -> Iterator[None]:
        """See :meth:`Clock.occupied`. Virtual time stands still meanwhile."""
        self._occupied += 1
        self._pass_or_stand()
        try:
            yield
        finally:
            self._occupied -= 1
            self._pass_or_stand()

    def _no_longer_awaited(self, future: Future[Any]) -> None:
        self._awaited.discard(future)
        self._pass_or_stand()

    def _pass_or_stand(self) -> None:
        if not self._virtual:
            return
        passes = bool(self._awaited) and not self._occupied
        if passes != (self._goal is not None):
            self._goal = inf if passes else None
            if passes and self._wakeup is not None:
                self._wakeup(0.0)

    def _change(self, speed: float | None = None, paused: bool | None = None, pinned_for: float | None = None) -> None:
        if self._virtual:
            raise HostError("the time of a copy is virtual: it passes while something is waited for, and not otherwise")
        self._at = self.now()
        self._mark = self._ticks()
        held, self._held = self._held is not None, None
        self.speed = self.speed if speed is None else speed
        self.paused = self.paused if paused is None else paused
        self._anchor = (self._wall(), self._mark)
        if pinned_for is not None:
            self._pinned_until, self._pin_ends = self._wall() + pinned_for, self._mark + pinned_for
        self._pinned = self._pin_ends > self._mark
        self._goal = None
        self._offset = self._at - self._wall()
        if abs(self._offset) < 0.001:
            self._offset = 0.0
        if held and not self._follows:
            self._held = self._mark
        self._keep()
        self._ask_for_wakeup()

    def _keep(self) -> None:
        self._bound = self._at if self.paused else self._at + self.speed * KEPT_AHEAD
        self._write()

    def _write(self) -> None:
        kept: dict[str, Any] = {"speed": self.speed, "paused": self.paused}
        kept |= {"offset": self._offset} if self._follows else {"at": self._bound}
        if self._pinned:
            kept["pinned"] = self._pinned_until
        self._side.put(_KEY, kept)

    def _ask_for_wakeup(self) -> None:
        if self._wakeup is None or self._held is not None or self.standing:
            return
        due = self.next_due()
        if self._goal is not None:
            self._wakeup(0.0)
        elif due is None or (self._virtual and due > self._at):
            self._wakeup(None)
        else:
            self._wakeup(max(0.0, due - self.now()) / (1.0 if self._follows else self.speed))


__all__ = ["FASTEST", "LONGEST_STEP", "SLOWEST", "Beginning", "PacedClock", "begin"]
