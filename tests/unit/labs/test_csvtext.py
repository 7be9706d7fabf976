"""CSV that no spreadsheet runs, and that loses nothing."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labs import csvtext

FORMULAS = ['=HYPERLINK("http://x","y")', "+1+2", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "'=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert csvtext.safe(text) == "'" + text


@pytest.mark.parametrize("text", ["ada", "a=b", "10", "", "Zoë"])
def test_anything_else_stays(text: str) -> None:
    assert csvtext.safe(text) == text


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))))
def test_every_text_comes_back(text: str) -> None:
    written = csvtext.write(["a", "b"], [[text, 1]])
    rows = list(csv.reader(io.StringIO(written, newline="")))
    assert csvtext.plain(rows[1][0]) == text
    assert rows[1][0][:1] not in ("=", "+", "-", "@", "\t", "\r", "\n")


def test_rfc_4180() -> None:
    assert csvtext.write(["n", "x"], [['say "hi", now', None], ["two\r\nlines", 2.5]]) == (
        'n,x\r\n"say ""hi"", now",\r\n"two\r\nlines",2.5\r\n'
    )


def test_numbers_are_numbers() -> None:
    assert csvtext.write(["n"], [[-1], [-2.0], [1e9]]).split() == ["n", "-1", "-2", "1000000000.0"]
