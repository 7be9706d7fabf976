"""How much memory a process has, and whether it still runs, as the system tells; None where it does not tell."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ENOUGH = 0.85
"""The part of what a worker may have from which on it refuses what would take more."""
FRESH_SECONDS = 0.02
"""For how long what was read is true enough."""
LARGE = 128 * 1024
"""Bytes from which a piece of memory is the system's own."""
_M_MMAP_THRESHOLD = -3
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int | None:
    """Bytes of memory that a process has in use, what it shares with its parent not counted."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return None
    return (int(fields[1]) - int(fields[2])) * _PAGE


class Gauge:
    """What this process has, of what it ``may`` have in bytes; read again when it was read a moment ago."""

    def __init__(self, may: int, has: Callable[[], int | None], now: Callable[[], float] = time.monotonic) -> None:
        self._may, self._has, self._now = may, has, now
        self._read = -FRESH_SECONDS
        self._bytes: int | None = None

    def bytes(self) -> int | None:
        """What it has."""
        if self._now() - self._read >= FRESH_SECONDS:
            self._read, self._bytes = self._now(), self._has()
        return self._bytes

    def scarce(self) -> str:
        """Why it takes on nothing that needs more; "" while it does."""
        has = self.bytes()
        if has is None or has < ENOUGH * self._may:
            return ""
        return (
            f"the part of the host that serves this cluster holds {has >> 20} of {self._may >> 20} MiB that it may; "
            "delete what is not needed, or try again later"
        )


def keep_no_large_pieces() -> None:
    """Have every large piece of memory that is freed go back to the system at once, from now on.

    Each TLS connection has a buffer of 256 KiB while it lasts; kept for later, a thousand short ones leave a heap of
    holes. The C library would begin to keep them after the first.
    """
    if sys.platform == "linux":
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # not in every C library
        if set_option is not None:
            set_option(_M_MMAP_THRESHOLD, LARGE)


def give_back() -> None:
    """Let the system have what this process has freed, as far as it can be."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in every C library
        if trim is not None:
            trim(0)


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
