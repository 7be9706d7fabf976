"""The databases of a simulated SQL server: in memory, each of its own, and in reach of nothing else.

SQL is carried out by SQLite within the limits that its authors advise for statements of strangers
(https://www.sqlite.org/security.html): no other file can be attached, no setting changed, no extension loaded;
statements, values, steps and sizes are bounded. What is not SQL of SQLite's, after the few translations of a
dialect, is a syntax error, as it would be in a server of that dialect if it were none of its own.
"""

from __future__ import annotations

import math
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simkube.runtime.nodes import Quota

MOST_DATABASES = 8
PAGES, PAGE = 128, 4096
"""Pages that one database may have, and their size in bytes."""
BYTES = PAGES * PAGE
MOST_STEPS = 100_000
"""Instructions of SQLite's machine that one statement may take."""
MOST_SECONDS = 0.25
"""Of the host's time for one statement, whatever it does: nobody meets that but who looks for it."""
MOST_ROWS = 2000
MOST_SCRIPT = 256 * 1024
"""Characters that a client sends at once, in all of its statements."""
MOST_TEXT = 20_000
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 4096,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: MOST_TEXT,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 16,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 100,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 5,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_REFUSED = {
    sqlite3.SQLITE_ATTACH,
    sqlite3.SQLITE_DETACH,
    sqlite3.SQLITE_PRAGMA,
    sqlite3.SQLITE_CREATE_VTABLE,
    sqlite3.SQLITE_DROP_VTABLE,
    sqlite3.SQLITE_CREATE_TEMP_TABLE,
    sqlite3.SQLITE_CREATE_TEMP_TRIGGER,
    sqlite3.SQLITE_CREATE_TEMP_VIEW,
}
_EVERY = 100
_FUNCTIONS = frozenset({"load_extension", "zeroblob", "randomblob", "fts3_tokenizer", "sqlite_compileoption_get"})
_PIECES = re.compile(
    r"""'(?:[^'\\]|''|\\.)*+(?:'|\\?\Z)|"(?:[^"\\]|""|\\.)*+(?:"|\\?\Z)|`[^`]*+(?:`|\Z)|--[^\n]*|/\*.*?(?:\*/|\Z)"""
    r"""|[^'"`;/-]+|.""",
    re.S,
)
"""What is not closed goes on to the end, so that no text is looked at twice."""


class SQLError(Exception):
    """A statement that failed, in SQLite's words."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What a statement gave: columns and rows ([] and [] for none), and how many rows it changed."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    changed: int = 0


def pieces(text: str) -> list[str]:
    """A text of SQL in pieces: strings, quoted names and comments whole, so that the rest can be looked at."""
    return _PIECES.findall(text)


def statements(text: str) -> Iterator[str]:
    """Each statement of a text, without its semicolon and without comments."""
    found: list[str] = []
    for piece in [*pieces(text), ";"]:
        if piece != ";":
            found.append(" " if piece.startswith(("--", "/*")) else piece)
        else:
            statement = "".join(found).strip()
            found = []
            if statement:
                yield statement


def outside_quotes(statement: str, change: Callable[[str], str]) -> str:
    """The statement with everything changed that is not in quotes."""
    return "".join(piece if piece[:1] in "'\"`" else change(piece) for piece in pieces(statement))


class Database:
    """One database. ``functions`` are those of the server (``version()``), without arguments."""

    def __init__(self, quota: Quota, functions: Mapping[str, Callable[[], Any]]) -> None:
        """FileError ENOSPC when there is no room for one more."""
        quota.charge(BYTES)
        self._quota = quota
        self._steps, self._until = 0, math.inf
        self._base = sqlite3.connect(":memory:", isolation_level=None, cached_statements=16)
        self._base.execute(f"PRAGMA max_page_count={PAGES}")
        self._base.execute("PRAGMA temp_store=MEMORY")
        self._base.execute("PRAGMA trusted_schema=OFF")
        for limit, value in _LIMITS.items():
            self._base.setlimit(limit, value)
        for name, function in functions.items():
            self._base.create_function(name, 0, function)
        self._base.create_function("concat", -1, lambda *parts: "".join(map(str, parts))[:4096])
        self._base.set_progress_handler(self._count, _EVERY)
        self._base.set_authorizer(_allowed)

    def _count(self) -> int:
        self._steps += _EVERY
        return int(self._steps > MOST_STEPS or time.perf_counter() > self._until)

    def run(self, statement: str) -> Rows:
        """Carry out one statement; :class:`SQLError`."""
        if len(statement) > MOST_TEXT:
            raise SQLError(f"a statement has at most {MOST_TEXT} characters here")
        self._steps, self._until = 0, time.perf_counter() + MOST_SECONDS
        before = self._base.total_changes
        try:
            cursor = self._base.execute(statement)
            rows = cursor.fetchmany(MOST_ROWS + 1)
            columns = [one[0] for one in cursor.description or ()]
            cursor.close()
        except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
            raise SQLError(str(error)) from None
        if len(rows) > MOST_ROWS:
            raise SQLError(f"an answer has at most {MOST_ROWS} rows here")
        return Rows(columns, rows, self._base.total_changes - before)

    def tables(self) -> list[str]:
        """Names of its tables."""
        wanted = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        return [row[0] for row in self.run(wanted).rows]

    def columns(self, table: str) -> list[tuple[str, str, bool, Any, bool]]:
        """``(name, type, not null, default, primary key)`` of each column; [] for no such table."""
        self._base.set_authorizer(None)
        try:
            quoted = table.replace('"', '""')
            found = self._base.execute(f'PRAGMA table_info("{quoted}")').fetchall()
        finally:
            self._base.set_authorizer(_allowed)
        return [(name, kind, bool(needed), default, bool(key)) for _, name, kind, needed, default, key in found]

    def dump(self) -> list[str]:
        """Statements that make it what it is."""
        self._steps, self._until = -100 * MOST_STEPS, math.inf
        self._base.set_authorizer(None)
        try:
            return list(self._base.iterdump())
        finally:
            self._base.set_authorizer(_allowed)

    def load(self, made_by: Sequence[str]) -> None:
        """Take back what :meth:`dump` gave; what cannot be carried out is left out."""
        for statement in made_by:
            try:
                self.run(statement)
            except SQLError:
                continue

    def close(self) -> None:
        """It is gone."""
        self._base.close()
        self._quota.charge(-BYTES)


def _allowed(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action in _REFUSED or (action == sqlite3.SQLITE_FUNCTION and second in _FUNCTIONS):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
