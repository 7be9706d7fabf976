"""Texts for a terminal: harmless, aligned, short."""

from __future__ import annotations

import pytest

from labs.cli.output import clean, span, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("a\rb\x08c\x9bd", "abcd"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("\u202eevil\u2066", "evil"),
        ("\x1b", ""),
    ],
)
def test_nothing_a_terminal_obeys(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_a_table_is_aligned() -> None:
    assert table(("a", "b"), [("日本", 1), ("x", "two\nlines")]) == "A     B\n日本  1\nx     two lines"


@pytest.mark.parametrize(("seconds", "shown"), [(5, "5 s"), (90, "2 min"), (3600, "1 h 0 min"), (11100, "3 h 5 min")])
def test_spans(seconds: float, shown: str) -> None:
    assert span(seconds) == shown
