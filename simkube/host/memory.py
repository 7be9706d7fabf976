"""How much memory a process has, and whether it still runs, as the system tells; None where it does not tell."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int | None:
    """Bytes of memory that a process has in use, what it shares with its parent not counted."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return None
    return (int(fields[1]) - int(fields[2])) * _PAGE


@dataclass(frozen=True)
class Activity:
    """``state`` as in ``ps`` (R runs or wants to, S sleeps, D waits for a disk, T is stopped); ``cpu`` in seconds."""

    state: str
    cpu: float


def activity(pid: int) -> Activity | None:
    """What a process does."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return Activity(fields[0], (int(fields[11]) + int(fields[12])) / _TICKS)
