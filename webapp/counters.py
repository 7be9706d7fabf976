"""Counters that all processes of a site share: how often somebody has asked for something in this minute.

A site's processes are forks of one, so memory that is mapped before they are made is the same for all of them. A
counter is a slot in it, found by its name's hash; a lock of the operating system, which a killed process gives back,
guards them all. Refuses to grow: when the slots near its own are taken by counters that run, the one that ends first
makes room, which can only let somebody ask more often than they may, and takes thousands of others to happen.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b

SLOTS = 1 << 16
NEAR = 16
"""Slots in which a counter may be."""
_SLOT = struct.Struct("<16sdQ")
"""The name's hash, when the counter ends (seconds of the machine's steady clock), its count."""


class Counters:
    """To be made before the processes are. About 2 MiB, of which the system gives what is used."""

    def __init__(self, slots: int = SLOTS, now: Callable[[], float] = time.monotonic) -> None:
        """``now``: a clock that is the same in all processes and that nobody sets: an hour back locks nobody out."""
        self._slots, self._now = slots, now
        self._memory = mmap.mmap(-1, slots * _SLOT.size)
        self._file, name = tempfile.mkstemp()
        os.unlink(name)
        weakref.finalize(self, os.close, self._file)
        self._mutex = threading.Lock()

    def add(self, name: str, seconds: float) -> int:
        """Count once more, from 0 in ``seconds`` from the first time on; the count."""
        with self._locked():
            at, ends, count = self._find(name)
            if ends <= self._now():
                ends, count = self._now() + seconds, 0
            _SLOT.pack_into(self._memory, at, _key(name), ends, count + 1)
            return count + 1

    def _find(self, name: str) -> tuple[int, float, int]:
        """Its slot, its end and its count; of one that does not run a slot that it may have, 0 and 0."""
        key, now = _key(name), self._now()
        first = int.from_bytes(key[:8], "little")
        free, soonest = 0, float("inf")
        for step in range(NEAR):
            at = (first + step) % self._slots * _SLOT.size
            found, ends, count = _SLOT.unpack_from(self._memory, at)
            if found == key and ends > now:
                return at, ends, count
            if ends < soonest:
                free, soonest = at, ends
        return free, 0.0, 0

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._mutex:  # a process's lock does not keep its threads apart
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)


def _key(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=16).digest()
