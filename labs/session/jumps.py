"""Labs do not expire for a clock that was set ahead, or a machine that slept: the time left to them is what it was.

What the wall clock gains on the machine's steady clock (which nobody sets, and which stands still while the machine
sleeps) is kept in a file. When it has grown by more than a minute, every live session is given as much. A clock that is
set back takes no time from anybody. Refuses to guess across a restart of the machine: there it begins anew.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from labs.locks import Locks
from labs.records.database import Database
from labs.records.models import Session

log = logging.getLogger(__name__)

JUMP = 60.0  # seconds: less is no matter for who has hours
LOCK = "clock"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass
class ClockJumps:
    """What happened to the wall clock since anybody of this home looked last.

    ``ticks``: the machine's steady clock, the same for all its processes, in seconds; ``boot``: names its present run.
    """

    records: Database
    file: Path
    locks: Locks
    now: Callable[[], datetime]
    ticks: Callable[[], float]
    boot: Callable[[], str]

    def make_up(self) -> None:
        """Give live sessions the time that was no time. ``Unavailable`` when that cannot be written now."""
        before, now = self._kept(), (self.boot(), self.ticks(), self.now().timestamp())
        jump = _jump(before, now)
        if jump is not None and abs(jump) < JUMP:
            return
        with self.locks.hold(LOCK) as held:
            if not held or self._kept() != before:  # somebody else is at it
                return
            with suppress(OSError):  # as long as it cannot be written down, nothing is given: or it would be every time
                if jump is not None and jump > 0:
                    self._give(timedelta(seconds=jump), now)
                else:
                    self._keep(now)

    def _kept(self) -> tuple[str, float, float] | None:
        try:
            boot, ticks, wall = json.loads(self.file.read_text())
            return str(boot), float(ticks), float(wall)
        except (OSError, ValueError, TypeError):
            return None

    def _keep(self, now: tuple[str, float, float]) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(now))
        fresh.replace(self.file)

    def _give(self, more: timedelta, now: tuple[str, float, float]) -> None:
        log.warning("the clock was set ahead, or the machine slept, by %s: labs are kept that much longer", more)
        with self.records.begin() as tx:
            for row in tx.scalars(select(Session).where(Session.ended_at.is_(None), Session.desired == "ready")):
                row.expires_at += more
            self._keep(now)


def _jump(before: tuple[str, float, float] | None, now: tuple[str, float, float]) -> float | None:
    """Seconds that the wall clock gained on the steady one; None when nothing is known."""
    if before is None or before[0] != now[0] or now[1] < before[1]:
        return None
    return (now[2] - before[2]) - (now[1] - before[1])


def boot_id() -> str:
    """Names the present run of this machine; "" where the system does not say."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
