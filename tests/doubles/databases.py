"""Databases that cannot work, each for one reason: somebody else writes, the disk is full, the file is damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program holds the write lock meanwhile, as a backup or a forgotten ``sqlite3`` does."""
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


def damage(database: Path) -> None:
    """Overwrite all but the first page, as a failing disk might."""
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (database.stat().st_size - 4096))


def failing(code: int) -> sqlite3.OperationalError:
    """What the driver raises for one of SQLite's result codes."""
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return error
