"""The attempt's clock: whatever is measured or waited for in a cluster is so in the cluster's own time.

In place (kind, and a learner's own simulated cluster) that is the wall clock, by as much ahead as the cluster is. A
fork's time stands still, except while a request waits for something to happen in it: there it jumps from event to event
as fast as the processor can. Every number of seconds in a check means the same on both.

Looking is cheap on a fork, but not free, and nothing changes there by itself. So a look that only read objects is not
repeated before an object has changed; it would see the same. Looks that do more (requests of the probe, logs, writing,
asking for the time) are repeated every time. What is seen, and at which times, is the same as without this.

It refuses to bound what may hang: a request to the cluster, and the attempt as a whole, have a limit in wall time.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from grader import limits
from grader.errors import ClusterUnreachable, Refused
from grader.shapes import Fields, fields

if TYPE_CHECKING:  # whoever imports grader for its words alone has no time for the connection's imports
    from grader.connection import Connection

TIME, SLEEP = "/simkube/time", "/simkube/sleep"
AT_ONCE = 10.0
"""Seconds of cluster time that one request lets pass at most: what happens in them is worked through in wall time."""
LEAST = 0.01
"""Seconds that a wait takes at least."""


class Look(Protocol):
    """One look at the cluster, from when it begins."""

    def again(self, every: float, deadline: float) -> bool:
        """Wait until it is time for the next look: ``every`` seconds, or more of such steps as long as what this one
        saw stays the same, never beyond ``deadline``. False, at once, when that has passed."""


class Clock(Protocol):
    """The time of one cluster. Raises ``ClusterUnreachable`` when it has to ask and gets no answer."""

    def now(self) -> float:
        """Seconds since 1970, as the cluster counts them; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Let so much time pass in the cluster."""

    def look(self) -> Look:
        """Say that a look begins."""


class WallClock:
    """The time of this machine, which nobody sets while it is used, and by how much the cluster's is ahead of it."""

    def __init__(self, ahead: Callable[[], float] = lambda: 0.0) -> None:
        """``ahead``: asked once, when the time is first needed; in seconds."""
        self._ahead = ahead
        self._zero: float | None = None

    def now(self) -> float:
        """See :class:`Clock`."""
        if self._zero is None:
            self._zero = self._ahead() + time.time() - time.monotonic()
        return self._zero + time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See :class:`Clock`."""
        time.sleep(max(seconds, 0.0))

    def look(self) -> Look:
        """See :class:`Clock`."""
        return PlainLook(self)


class PlainLook:
    """A look that is repeated whatever it saw."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def again(self, every: float, deadline: float) -> bool:
        """See :class:`Look`."""
        left = deadline - self._clock.now()
        if left > 0:
            self._clock.sleep(min(every, max(left, LEAST)))
        return left > 0


class ClusterClock:
    """The time of a fork, which passes only when it is let.

    ``GET /simkube/time`` gives ``{"time": s since 1970, "revision": of the newest object}``; ``POST /simkube/sleep``
    with ``{"seconds": S}`` the same after that time, and with ``{"seconds": S, "every": E, "since": REVISION}`` after
    the first step of ``E`` seconds that ends with a newer revision, after ``S`` seconds at the latest. A cluster that
    gives no revision is looked at every time.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._time, self._asked_after = 0.0, -1
        self.asked = 0
        """How often somebody wanted to know the time: what a look comes to may depend on it."""
        self.revision: int | None = None

    def now(self) -> float:
        """See :class:`Clock`."""
        self.asked += 1
        return self.known()

    def known(self) -> float:
        """The time, for the waiting itself: it does not count as asked for."""
        activity = self._connection.activity
        waits = activity.waits
        if waits != self._asked_after or activity.uncounted:  # only in these can time have passed
            self._learn(self._connection.get(TIME), waits)
        return self._time

    def sleep(self, seconds: float) -> None:
        """See :class:`Clock`."""
        end = self.known() + seconds
        while (left := end - self.known()) > 0:  # an answer comes early when what happens takes its time
            self._let_pass(min(left, AT_ONCE))

    def sleep_until_changed(self, since: int, every: float, seconds: float) -> None:
        """Sleep in steps of ``every`` until there is a newer revision than ``since``; at most ``seconds``."""
        end, at_once = self.known() + seconds, every * max(AT_ONCE // every, 1)
        while (left := end - self.known()) > 0 and self.revision == since:
            self._let_pass(min(left, at_once), every=every, since=since)

    def look(self) -> Look:
        """See :class:`Clock`."""
        return _Look(self, self._connection)

    def _let_pass(self, seconds: float, **until: float) -> None:
        status, content = self._connection.send("POST", SLEEP, {"seconds": seconds, **until}, limits.BUSY_SECONDS)
        if status != 200:
            raise ClusterUnreachable(f"POST {SLEEP}: {status}: {content[:200]!r}")
        try:
            told = fields(json.loads(content))
        except (ValueError, RecursionError) as error:
            raise ClusterUnreachable(f"POST {SLEEP}: the answer is not JSON: {content[:200]!r}") from error
        self._learn(told, self._connection.activity.waits)

    def _learn(self, told: Fields, waits: int) -> None:
        revision = told.get("revision")
        self._time, self._asked_after = _time_of(told), waits
        self.revision = revision if isinstance(revision, int) else None


class _Look:
    def __init__(self, clock: ClusterClock, connection: Connection) -> None:
        self._clock, self._activity = clock, connection.activity
        self._before = self._done()
        self._reads, self._revision = connection.activity.reads, clock.revision

    def again(self, every: float, deadline: float) -> bool:
        """See :class:`Look`."""
        only_read = self._done() == self._before and self._activity.reads > self._reads and not self._activity.uncounted
        left = deadline - self._clock.known()
        if left <= 0:
            return False
        if only_read and self._revision is not None and self._clock.revision == self._revision:
            self._clock.sleep_until_changed(self._revision, every, left)
        else:
            self._clock.sleep(min(every, max(left, LEAST)))
        return True

    def _done(self) -> tuple[int, int]:
        return self._activity.acts, self._clock.asked


def clock_of(connection: Connection, kind: str) -> Clock:
    """The clock of the cluster behind ``connection``; ``kind`` is ``GradeRequest.time``."""
    if kind == "cluster":
        clock = ClusterClock(connection)
        connection.pause = clock.sleep  # while time stands still, nothing comes back
        return clock
    return WallClock(lambda: _ahead(connection))


def _ahead(connection: Connection) -> float:
    """By how many seconds a cluster's time is ahead of this machine's; 0 where only a machine has a clock."""
    began = time.time()
    try:
        told = connection.get(TIME)
    except Refused:
        return 0.0
    return _time_of(told) - (began + time.time()) / 2


def _time_of(told: Fields) -> float:
    found = told.get("time")
    if not isinstance(found, int | float):
        raise ClusterUnreachable(f"the cluster says of its time: {str(told)[:200]}")
    return float(found)


_current: ContextVar[Clock] = ContextVar("clock", default=WallClock())  # noqa: B039 - nothing in it is ever changed


def current() -> Clock:
    """The clock of the attempt that is under way; this machine's outside of any."""
    return _current.get()


@contextlib.contextmanager
def used(clock: Clock) -> Iterator[None]:
    """Have :func:`current` be this clock."""
    before = _current.set(clock)
    try:
        yield
    finally:
        _current.reset(before)
