"""A file by which others see, whatever becomes of the grading process, whether it is still there and what it left.

The file is locked for as long as the process lives: the kernel lets go of it when it dies. It holds ``changed`` from
the moment at which something of the learner's was changed that only this process knows how to put back, until it was.
"""

from __future__ import annotations

import fcntl
import os

CHANGED = b"changed"


class Mark:
    """The mark of this process at ``path``; none when ``path`` is "". Waits for a process that has it still."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600) if path else -1
        if path:
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def changed(self) -> None:
        """Something is about to be changed."""
        if self._file >= 0:
            os.pwrite(self._file, CHANGED, 0)

    def put_back(self) -> None:
        """All of it is as it was."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
