"""The queue of what is handed in: at most so many grading processes at once, learners taking turns.

Who waits, and in which order, is read from the rows; who of them is still there, from the locks of their sessions; a
grader's place is a lock of the operating system as well, one of a pool that all processes of a home share. So whoever
is killed gives back what they held, and whoever waits behind them goes on. Nothing is kept here that could be lost.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from labs.locks import Locks
from labs.records.database import Database
from labs.records.models import Attempt, Session

LOOK_SECONDS = 0.2  # between two looks of those whose turn is near
FAR_SECONDS = 2.0  # the same for those far behind
ASK_LOOKS = 10  # looks after which a waiting attempt asks whether it is still wanted
STUCK_LOOKS = 25  # looks with a place free that nobody takes: those before us were stopped, and are passed over


@dataclass(frozen=True)
class Waiting:
    """An attempt that waits."""

    attempt: str
    session: str
    user: int
    wanted_at: datetime


@dataclass(frozen=True)
class Look:
    """What was seen at one moment: attempts that wait for a grader, the next one first, and how many places are
    free."""

    at: float
    line: tuple[str, ...]
    free: int


class GradingQueue:
    """``places`` graders of one home; ``sessions`` are the locks by which one sees who is there."""

    def __init__(
        self, records: Database, sessions: Locks, graders: Locks, places: int, pause: Callable[[float], None]
    ) -> None:
        self._records, self._sessions, self._graders = records, sessions, graders
        self._places, self._pause = places, pause
        self._mutex = threading.Lock()
        self._seen = Look(-FAR_SECONDS, (), 0)

    @contextmanager
    def turn(self, attempt: str, unwanted: Callable[[], bool], moved: Callable[[], None]) -> Iterator[bool]:
        """Wait for the attempt's turn and hold a grader's place while entered; False when it is wanted no more.

        Its session's lock is to be held. ``unwanted`` is asked now and then; ``moved`` is called at each new place.
        """
        with ExitStack() as place:
            yield self._wait(attempt, unwanted, moved, place)

    def before(self, tx: Transaction, attempt: str) -> int | None:
        """How many that wait are graded before this attempt; None when it does not wait for a grader."""
        found = line(tx)
        ahead = next((place for place, one in enumerate(found) if one.attempt == attempt), None)
        return None if ahead is None else sum(self._sessions.held(one.session) for one in found[:ahead])

    def free(self) -> int:
        """Places that nobody holds at this moment."""
        return self._graders.free(self._places)

    def places(self) -> dict[str, int]:
        """How many wait before each attempt that waits, as seen a moment ago."""
        return {attempt: number for number, attempt in enumerate(self._look(fresh=False).line)}

    def _wait(self, attempt: str, unwanted: Callable[[], bool], moved: Callable[[], None], place: ExitStack) -> bool:
        seen, last, looks, passed = self._look(fresh=True), -1, 0, 0
        while True:
            ahead = seen.line.index(attempt) if attempt in seen.line else len(seen.line)
            passed = passed + 1 if seen.free else 0
            if (ahead < seen.free or passed > STUCK_LOOKS) and self._enter(place):
                return not unwanted()
            looks += 1
            if (attempt not in seen.line or looks % ASK_LOOKS == 0) and unwanted():
                return False
            if ahead != last:
                last = ahead
                moved()
            self._pause(min(FAR_SECONDS, LOOK_SECONDS * max(1, ahead // self._places)))
            seen = self._look(fresh=False)

    def _enter(self, place: ExitStack) -> bool:
        """Take one of the places, if one is free."""
        taken = any(place.enter_context(self._graders.hold(str(number))) for number in range(self._places))
        with self._mutex:
            self._seen = Look(-FAR_SECONDS, (), 0)
        return taken

    def _look(self, *, fresh: bool) -> Look:
        """Threads of one process look once for all of them."""
        with self._mutex:
            if fresh or time.monotonic() - self._seen.at >= LOOK_SECONDS:
                with self._records.read() as tx:
                    found = line(tx)
                there = tuple(one.attempt for one in found if self._sessions.held(one.session))
                self._seen = Look(time.monotonic(), there, self.free())
            return self._seen


def line(tx: Transaction) -> list[Waiting]:
    """Attempts that wait for a grader, in the order in which they get one.

    Learners take turns: who has had more attempts graded since the oldest of these was handed in, or has others of
    their own before this one, is later. Of one turn, who handed in first is first.
    """
    ready = (Attempt.state != "done", Attempt.state == "wanted", Session.state == "ready", Session.desired == "ready")
    columns = select(Attempt.id, Attempt.session_id, Attempt.user_id, Attempt.wanted_at)
    rows = tx.execute(columns.join(Session, Attempt.session_id == Session.id).where(*ready)).all()
    waiting = sorted((Waiting(*row) for row in rows), key=lambda one: (one.wanted_at, one.attempt))
    if not waiting:
        return []
    running = (Attempt.state != "done", Attempt.state == "running", Attempt.started_at < waiting[0].wanted_at)
    turns = Counter(tx.scalars(select(Attempt.user_id).where(*running)))
    turns.update(tx.scalars(select(Attempt.user_id).where(Attempt.started_at >= waiting[0].wanted_at)))
    order: list[tuple[int, int]] = []
    for number, one in enumerate(waiting):
        order.append((turns[one.user], number))
        turns[one.user] += 1
    return [waiting[number] for _, number in sorted(order)]
