"""Space that is kept for the moment at which the disk is full: what frees some must be able to write first.

SQLite cannot even open a database without room for its log and its index. So a file of no use is kept in the home, and
given up when a lab is to be stopped or reset and hardly anything is left. Refuses to take space that others need.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

SIZE = 8 << 20
"""Bytes: the logs of two databases while a cluster is removed, with room to spare."""
LEAST = 512 << 10
"""Bytes: less would not let anything be removed."""
SHARE = 4
"""One part in so many of what is left may be taken."""
NAME = "ballast"


def keep(home: Path) -> None:
    """Have the file there: a quarter of what is left, at most ``SIZE``; none where that would be too little to help.

    Never fails.
    """
    path = home / NAME
    with contextlib.suppress(OSError):
        size = min(SIZE, shutil.disk_usage(home).free // SHARE)
        if path.exists() or size < min(SIZE, LEAST):
            return
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            path.unlink()
        finally:
            os.close(descriptor)


def kept(home: Path) -> bool:
    """Whether there is something to be given up."""
    return (home / NAME).exists()


def give_up(home: Path) -> bool:
    """Remove the file when less than its size is left; whether that made room. Never fails."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(home).free < SIZE:
            (home / NAME).unlink()
            return True
    return False
