"""CSV that spreadsheets read and do not run.

RFC 4180: a header, CRLF, quotes where needed. A text that a spreadsheet would take for a formula (it begins with
``= + - @``, their full-width forms, a space, tab or line break) or that begins with an apostrophe gets an apostrophe in
front; :func:`plain` takes it off again, so that nothing is lost. Numbers are written as numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

Cell = str | int | float | None

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}")
_ALSO = ("\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")


def write(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """The whole file as text."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([safe(title) for title in header])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def safe(text: str) -> str:
    """The text as no spreadsheet takes it for a formula."""
    shown = text.replace("\0", "")
    return "'" + shown if shown.lstrip(" ").startswith(_DANGEROUS + _ALSO) or shown.startswith(" ") else shown


def plain(cell: str) -> str:
    """What :func:`safe` was given (without the character NUL)."""
    return cell[1:] if cell.startswith("'") else cell


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:g}" if abs(value) < 1e6 else str(value)
    return safe(value) if isinstance(value, str) else str(value)
