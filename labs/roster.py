"""A class list as CSV, as instructors export it: a header with ``name`` and/or ``email``, perhaps ``display_name``.

``name`` is what somebody signs in with; what becomes of a full name in it, :mod:`labs.accounts.rosters` says.

Spreadsheets' habits are taken as they come (a byte order mark, semicolons or tabs, empty lines). What is no roster at
all is refused whole, with its line; a line that cannot be used is refused alone.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from labs.errors import Malformed

SIZE_LIMIT = 1024 * 1024
LINES_LIMIT = 1000
_COLUMNS = {
    "name": "name",
    "username": "name",
    "login": "name",
    "user": "name",
    "email": "email",
    "e-mail": "email",
    "mail": "email",
    "display_name": "display_name",
    "display name": "display_name",
    "full name": "display_name",
    "full_name": "display_name",
}


@dataclass(frozen=True)
class RosterLine:
    """What became of one line. ``state``: created, added (had an account), unchanged, invited (the account is somebody
    else's learner until it joins by itself), refused (why in ``message``)."""

    line: int
    name: str
    email: str
    state: str
    message: str = ""


@dataclass(frozen=True)
class RosterEntry:
    """One line, read. ``refused``: why it cannot be used, or "". ``derived``: ``name`` was made of the email."""

    line: int
    name: str
    email: str
    display_name: str
    refused: str = ""
    derived: bool = False


def read_roster(text: str, source: str = "roster") -> list[RosterEntry]:
    """Every line that is not empty; :class:`Malformed` when it is not a roster."""
    if len(text) > SIZE_LIMIT:
        raise Malformed(source, 1, f"expected at most {SIZE_LIMIT // 1024} KiB")
    text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        columns = _columns(header, source)
        entries = [entry for row in reader if (entry := _entry(row, columns, reader.line_num)) is not None]
    except csv.Error as error:
        raise Malformed(source, reader.line_num, f"expected CSV: {error}") from error
    if len(entries) > LINES_LIMIT:
        raise Malformed(source, entries[LINES_LIMIT].line, f"expected at most {LINES_LIMIT} learners; split the list")
    return entries


def _columns(header: list[str], source: str) -> dict[str, int]:
    columns: dict[str, int] = {}
    for position, title in enumerate(header):
        field = _COLUMNS.get(title.strip().lower())
        if field is not None:
            columns.setdefault(field, position)
    if "name" not in columns and "email" not in columns:
        raise Malformed(source, 1, "expected a header line with a column name or email")
    return columns


def _entry(row: list[str], columns: dict[str, int], line: int) -> RosterEntry | None:
    if not any(cell.strip() for cell in row):
        return None

    def cell(field: str) -> str:
        position = columns.get(field, -1)
        return row[position].strip() if 0 <= position < len(row) else ""

    email = cell("email").lower()
    name = cell("name") or email.split("@")[0]
    refused = "" if name else "expected a name or an email"
    return RosterEntry(line, name, email, cell("display_name"), refused, not cell("name"))
