"""Whether a worker hangs, told from its being slow: a busy machine is no reason to end anything.

A worker says four times a second that its loop goes round. When it does not, what it does in the meantime decides. One
that was stopped, that computes for seconds without coming round, or that sleeps although it has something to do, hangs.
One that wants to run and may not, or waits for a disk, is slow. Where the system does not tell what a process does,
only a long silence counts.
"""

from __future__ import annotations

from simkube.host.memory import Activity

STOPPED_SECONDS = 1.0
"""How long a worker may be stopped (SIGSTOP)."""
COMPUTING_SECONDS = 3.0
"""Seconds of processor time in one turn of the loop: far more than any piece of work takes."""
CLUSTER_SECONDS = 0.006
"""What each cluster adds to that: all of them are searched for garbage in one piece."""
STARTING_SECONDS = 30.0
"""The same while clusters are brought back."""
ASLEEP_SECONDS = 3.0
"""How long it may sleep with its next word overdue."""
SILENT_SECONDS = 30.0
"""How long it may be silent where nothing else is known of it."""


class Pulse:
    """One worker's; times are monotonic, in seconds."""

    def __init__(self, now: float) -> None:
        self._beat = now
        self._cpu: float | None = None
        self._since: dict[str, float] = {}
        self._asleep_at = -1.0
        self._most = STARTING_SECONDS

    def beat(self, now: float, clusters: int, *, resumed: bool) -> None:
        """It has come round, with so many clusters."""
        self._beat, self._cpu = now, None
        self._most = COMPUTING_SECONDS + CLUSTER_SECONDS * clusters if resumed else STARTING_SECONDS
        self._since.clear()

    def hangs(self, now: float, seen: Activity | None) -> str:
        """Why it is to be ended, for a log; "" when it is not. To be called every now and then."""
        silent = now - self._beat
        if seen is None:
            return f"has said nothing for {silent:.0f} s" if silent > SILENT_SECONDS else ""
        if self._cpu is None:
            self._cpu = seen.cpu
        if self._for(now, "stopped", seen.state in "Tt") > STOPPED_SECONDS:
            return f"has been stopped for {STOPPED_SECONDS:g} s"
        computed = seen.cpu - self._cpu
        if computed > self._most:
            return f"has computed for {computed:.1f} s without coming round"
        asleep = seen.state == "S" and seen.cpu == self._asleep_at
        self._asleep_at = seen.cpu
        if self._for(now, "asleep", asleep) > ASLEEP_SECONDS:
            return f"has slept for {ASLEEP_SECONDS:g} s with work to do"
        return ""

    def _for(self, now: float, what: str, is_so: bool) -> float:
        """For how long this has been so."""
        if not is_so:
            self._since.pop(what, None)
            return 0.0
        return now - self._since.setdefault(what, now)
