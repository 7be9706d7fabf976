"""What the operating system refuses (no space, no right, nothing left of something), as a sentence with a way out.

It knows the refusals that come from outside. An error that it does not know is a fault of ours, and stays one.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from labs.errors import KindlingError, Unavailable

DISK_FULL = "the disk is full; free some space and do that again"
TOO_MANY_FILES = "no more files can be opened here (ulimit -n); end something, or raise the limit, and try again"
LITTLE = 1 << 20
"""Bytes: a disk with less than this left counts as full. SQLite writes whole pages, and some of them in advance."""
_NO_PROCESS = "can't start new thread"
"""How Python says that the system gave it no thread (RuntimeError, :mod:`threading`)."""


def as_sentence(error: BaseException) -> KindlingError | None:
    """The error for a person, or None when nothing outside is to blame."""
    if isinstance(error, MemoryError):
        return Unavailable("this machine has no memory left; end something and do that again")
    if isinstance(error, RuntimeError) and _NO_PROCESS in str(error):
        return Unavailable("no more processes or threads can be started here (ulimit -u); end some and do that again")
    return _refused(error) if isinstance(error, OSError) else None


def full(folder: Path) -> bool:
    """Whether the disk of a folder has hardly anything left."""
    try:
        return shutil.disk_usage(folder).free < LITTLE
    except OSError:
        return False


def not_writable(where: object, why: str) -> Unavailable:
    """Nothing can be written at a place, and that will not change by itself."""
    said = f"what Kindling keeps cannot be written: {why} ({where}); allow writing there, or choose another home"
    return Unavailable(said, "export KINDLING_HOME=$HOME/kindling", lasting=True)


def _refused(error: OSError) -> KindlingError | None:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable(DISK_FULL)
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM) and error.filename:
        return not_writable(error.filename, (error.strerror or "refused").lower())
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Unavailable(TOO_MANY_FILES)
    if error.errno == errno.EIO:
        return Unavailable(f"the disk is failing: it could not read or write {error.filename or 'a file'}; see dmesg")
    if error.errno in (errno.EAGAIN, errno.ENOMEM):
        return Unavailable(
            "this machine has no memory or processes left (ulimit -u, free -m); end something and do that again"
        )
    return None
