"""What a database says when it cannot work, as a sentence with a way out.

Only what comes from outside is translated: a lock that another process holds, a full or read-only disk, a damaged file,
a server that is away. Anything else (a constraint, a statement of ours that is wrong) is left as it is.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from labs import ballast
from labs.errors import NOTHING, DiskFull, Unavailable
from labs.system_errors import TOO_MANY_FILES, full, not_writable

_MASK = 0xFF
"""SQLite's extended result codes keep the primary one in their lowest byte (https://www.sqlite.org/rescode.html)."""
STOP = "kindling stop LAB"
"""What makes room: whoever knows the lab puts it in."""


def unavailable(engine: Engine, error: SQLAlchemyError) -> Unavailable | None:
    """What went wrong, for a person; None for what is no trouble of the database's."""
    if isinstance(error, PoolTimeout):
        return Unavailable(f"too much waits for the database, so {NOTHING}; try again in a moment")
    if not isinstance(error, DBAPIError):
        return None
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite(engine.url.database or "", error.orig)
    if error.connection_invalidated or type(error.orig).__name__ == "OperationalError":
        where = engine.url.render_as_string(hide_password=True)
        said = str(error.orig).strip().splitlines() or [""]
        return Unavailable(f"the database {where} does not answer ({said[0]}), so {NOTHING}; try again when it does")
    return None


def locked(database: str, seconds: float) -> Unavailable:
    """Others have held the write lock for longer than we wait."""
    return Unavailable(
        f"the records are locked: something else is writing to {database} and was waited for {round(seconds, 1):g} s, "
        f"so {NOTHING}. Try again; if it stays like this, find what holds it and end that",
        f"fuser -v {database}",
        visitors=f"The records of this site are in use by something else, so {NOTHING}.",
    )


def _full(folder: Path) -> DiskFull:
    """Stopping a lab is offered only where there is something to be given up for it: it has to write as well."""
    visitors = f"This site has no space left, so {NOTHING}."
    if ballast.kept(folder):
        said = f"the disk of {folder} is full, so {NOTHING}; free some space and do that again"
        return DiskFull(said, STOP, visitors=f"{visitors} Stopping a lab still works, and makes some.")
    said = f"the disk of {folder} is full, so {NOTHING}; delete what is not needed on it and do that again"
    return DiskFull(said, f"du -ax {folder} | sort -n | tail", visitors=visitors)


def _sqlite(database: str, error: sqlite3.Error) -> Unavailable | None:
    code = getattr(error, "sqlite_errorcode", 0) & _MASK
    folder = Path(database).parent
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and full(folder):
        code = sqlite3.SQLITE_FULL
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Unavailable(f"the records are locked: something else writes to {database}, so {NOTHING}; try again")
    if code == sqlite3.SQLITE_FULL:
        return _full(folder)
    if code == sqlite3.SQLITE_IOERR:
        return Unavailable(f"the disk of {folder} does not take what is written ({error}), so {NOTHING}; see dmesg")
    if code == sqlite3.SQLITE_CANTOPEN and os.access(folder, os.W_OK):
        return Unavailable(f"{database} cannot be opened: {TOO_MANY_FILES}")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return not_writable(folder, str(error))
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        said = f"the database {database} is damaged ({error}): put a backup in its place, or move it away to begin anew"
        return Unavailable(said, f"mv {database} {database}.damaged", lasting=True)
    if code == sqlite3.SQLITE_NOMEM:
        return Unavailable(f"this machine has no memory left, so {NOTHING}; end something and do that again")
    return None
