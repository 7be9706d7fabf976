"""What a learner made a failure message say, where it is shown: on a terminal, in a spreadsheet, in JSON."""

from __future__ import annotations

import csv
import io
import json
import unicodedata

import pytest

from grader.verdict import judge
from labs import csvtext
from labs.cli import output
from tests.unit.grader.test_hostile import HOSTILE

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", " ")


@pytest.mark.parametrize("text", [*HOSTILE.values(), "@SUM(1)", "+1", " =1", "-2+3", "\t=1"])
class TestMessages:
    def test_in_a_spreadsheet(self, text: str) -> None:
        message = judge(AssertionError(text), "a check").message
        written = csvtext.write(["message"], [[message]])
        _, (cell,) = csv.reader(io.StringIO(written, newline=""))
        assert not cell.startswith(FORMULAS)
        assert csvtext.plain(cell) == message

    def test_on_a_terminal(self, text: str) -> None:
        shown = output.clean(judge(AssertionError(text), "a check").message)
        assert [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"] == []

    def test_in_json(self, text: str) -> None:
        message = judge(AssertionError(text), "a check").message
        assert json.loads(json.dumps(message).encode()) == message
