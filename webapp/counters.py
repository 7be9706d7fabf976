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

    def __init__(
        self, slots: int = SLOTS, now: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        """``now``: a clock that is the same in all processes and that nobody sets: an hour back must lock nobody out.

        ``wall``: the time of day, in which ends are told.
        """
        self._slots, self._now, self._wall = slots, now, wall
        self._memory = mmap.mmap(-1, slots * _SLOT.size)
        self._file, name = tempfile.mkstemp()
        os.unlink(name)
        weakref.finalize(self, os.close, self._file)
        self._mutex = threading.Lock()

    def add(self, name: str, seconds: float, amount: int) -> int:
        """Count, from 0 in ``seconds`` from the first time on; the count."""
        with self._locked():
            at, ends, count = self._find(name)
            if ends <= self._now():
                ends, count = self._now() + seconds, 0
            self._put(at, name, ends, count + amount)
            return count + amount

    def count(self, name: str) -> int:
        """The count, 0 when it has ended."""
        with self._locked():
            return self._find(name)[2]

    def ends(self, name: str) -> float:
        """When it ends (seconds of the wall clock): now when it has."""
        with self._locked():
            return self._wall() + max(self._find(name)[1] - self._now(), 0.0)

    def forget(self, name: str) -> None:
        """Begin anew with it."""
        with self._locked():
            self._put(self._find(name)[0], name, 0.0, 0)

    def forget_all(self) -> None:
        """Begin anew."""
        with self._locked():
            self._memory[:] = bytes(len(self._memory))

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

    def _put(self, at: int, name: str, ends: float, count: int) -> None:
        _SLOT.pack_into(self._memory, at, _key(name), ends, count)

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
