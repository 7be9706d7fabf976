"""What goes to the terminal. Text that came from elsewhere is cleaned: it cannot move the cursor, hide or imitate.

Colours and movement only on a terminal, and not with NO_COLOR; anywhere else, plain lines.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from labs.cli.suggestions import suggested

if TYPE_CHECKING:
    from rich.console import Console

# Everything that a terminal may obey, and the marks that turn the direction of writing around.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|"
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
GLYPHS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "ungradable": ("?", "yellow")}


def clean(text: object) -> str:
    """The text without anything a terminal would obey; line breaks and tabs stay."""
    return _CONTROL.sub("", str(text))


def live() -> bool:
    """Whether there is a terminal that can show movement."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def colours() -> bool:
    """Whether to use colours."""
    return live() and not os.environ.get("NO_COLOR")


def echo(text: str = "") -> None:
    """A line of ours; what it quotes must have been cleaned."""
    click.echo(text, color=colours())


def print_error(message: str, fix: str = "") -> None:
    """One sentence on standard error, and the command that mends it."""
    click.echo(f"kindling: {suggested(clean(message))}", err=True)
    if fix:
        click.echo(f"  try: {suggested(clean(fix))}", err=True)


def style(text: str, **how: object) -> str:
    """Coloured when there are colours."""
    return click.style(text, **how) if colours() else text  # type: ignore[arg-type]  # click's own keywords


def outcome(word: str | None) -> str:
    """An outcome with its sign."""
    glyph, colour = GLYPHS.get(word or "", ("·", "bright_black"))
    return style(f"{glyph} {word or 'waiting'}", fg=colour)


def console() -> Console:
    """A rich console; imported only where something moves."""
    from rich.console import Console

    return Console(no_color=not colours(), highlight=False, markup=False, emoji=False)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as kubectl aligns them: upper-case titles, two spaces between."""
    lines = [[title.upper() for title in header], *([clean(cell).replace("\n", " ") for cell in row] for row in rows)]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def number(value: float) -> str:
    """10 for 10.0, 7.5 for 7.5."""
    return f"{value:g}"


def counted(count: float, one: str, many: str = "") -> str:
    """``1 attempt``, ``2 attempts``."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def span(seconds: float) -> str:
    """A length of time for a person: 45 s, 12 min, 3 h 5 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _width(text: str) -> int:
    """Columns on a terminal (wide East Asian characters take two)."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)
