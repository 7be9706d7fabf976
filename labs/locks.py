"""One at a time, across threads and processes: who drives a session, who has a grader's place.

An OS file lock per name: the kernel lets go of it when its holder dies, however it dies. A session's is held only while
somebody drives the session, never while a learner works.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Locks:
    """Locks by name (a session's id), as files in a folder that all processes of one installation share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, session: str) -> Iterator[bool]:
        """Holds the lock while entered; False, at once, when somebody else has it."""
        descriptor = self._take(session, fcntl.LOCK_EX)
        if descriptor is None:
            yield False
            return
        try:
            yield True
        finally:
            os.close(descriptor)

    def held(self, session: str) -> bool:
        """Whether somebody drives the session at this moment."""
        if not self._path(session).exists():
            return False
        descriptor = self._take(session, fcntl.LOCK_SH)
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def free(self, places: int) -> int:
        """How many of the locks ``0`` to ``places - 1`` nobody has."""
        return sum(not self.held(str(number)) for number in range(places))

    def file(self, name: str) -> Path:
        """The file that somebody else is to lock, in a folder that is there."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._path(name)

    def content(self, name: str) -> bytes:
        """What its last holder has written to it."""
        path = self._path(name)
        return path.read_bytes() if path.exists() else b""

    def write(self, name: str, content: bytes) -> None:
        """Say something to those who find the lock held; only while holding it."""
        self._path(name).write_bytes(content)

    def forget(self, session: str) -> None:
        """Remove the file of a session that has ended; only while holding its lock."""
        self._path(session).unlink(missing_ok=True)

    def _path(self, session: str) -> Path:
        return self._folder / f"{session}.lock"

    def _take(self, session: str, kind: int) -> int | None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(session)
        while True:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            if _same_file(descriptor, path):
                return descriptor
            os.close(descriptor)  # its holder removed the file between our opening and our locking it


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
