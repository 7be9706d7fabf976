"""Reading SQLite's records where the disk is full.

Its write-ahead log has an index, a file that is made even for a reader and for which there may be no room. Where the
log is empty, the database's own file says all, and is read as one that nobody changes
(https://www.sqlite.org/uri.html#uriimmutable). Refuses to where there is anything in the log: it would be missed.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from labs.errors import DiskFull
from labs.records.failures import unavailable


def readable(engine: Engine, error: DBAPIError) -> bool:
    """Whether what ``error`` refused to read can be read by :func:`still`."""
    return isinstance(unavailable(engine, error), DiskFull) and not _log_bytes(Path(engine.url.database or ""))


def still(engine: Engine) -> Engine:
    """The same records, for reading only, and nothing is written for that."""
    file = f"file:{quote(engine.url.database or '')}?mode=ro&immutable=1"
    return create_engine("sqlite://", creator=lambda: sqlite3.connect(file, uri=True), poolclass=NullPool)


def _log_bytes(database: Path) -> int:
    try:
        return database.with_name(f"{database.name}-wal").stat().st_size
    except OSError:  # none was left
        return 0
