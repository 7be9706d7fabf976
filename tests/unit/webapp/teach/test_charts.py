"""Charts: the numbers they show, their text alternative, and what they do with hostile or odd values."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from labs.report import CheckStatistics
from labs.session import AttemptView
from webapp.teach import charts


def statistics(passed: int, failed: int, ungradable: int) -> CheckStatistics:
    return CheckStatistics("c", "C", 3.0, 9, passed, failed, ungradable, None, 3, 1, "", 0)


def attempt(number: int, score: float, outcome: str = "failed", *, counted: bool = True) -> AttemptView:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    done = ("s", "ada", "pods", "kind", number, "done", outcome, counted, score, 10.0, 1.0, at, at, at)
    return AttemptView(f"a{number}", *done, [])


@pytest.mark.parametrize(
    ("best", "whole", "shade"),
    [
        (None, 10, "heat-none"),
        (0, 10, "heat-0"),
        (1.9, 10, "heat-0"),
        (5, 10, "heat-2"),
        (9.99, 10, "heat-4"),
        (10, 10, "heat-5"),
        (12, 10, "heat-5"),
        (0, 0, "heat-none"),
    ],
)
def test_heat(best: float | None, whole: float, shade: str) -> None:
    assert charts.heat(best, whole) == shade


def test_a_bar_is_divided_as_the_counts_are() -> None:
    made = charts.bar(statistics(5, 3, 2))
    assert 'aria-label="5 passed, 3 failed, 2 ungradable"' in made
    widths = [float(width) for width in re.findall(r'width="([\d.]+)"', made)]
    assert widths == [50.0, 20.0, 30.0]
    assert [float(left) for left in re.findall(r' x="([\d.]+)"', made)] == [0.0, 50.0, 70.0]


def test_a_bar_of_nothing_says_so() -> None:
    assert 'aria-label="Never graded"' in charts.bar(statistics(0, 0, 0))


def test_the_spread_counts_everybody_once() -> None:
    made = charts.spread([0, 4.9, 5, 10, 10], 10)
    counts = [int(count) for count in re.findall(r'class="count"[^>]*>(\d+)<', made)]
    assert sum(counts) == 5
    assert "Best scores of 5 learners: 2 with all points" in made
    ElementTree.fromstring(str(made))


def test_the_history_shows_every_attempt_and_the_best_so_far() -> None:
    made = charts.history([attempt(3, 6, counted=False, outcome="ungradable"), attempt(2, 2), attempt(1, 4)], 10)
    assert re.findall(r'class="dot (\w+)"', made) == ["failed", "failed", "ungradable"]
    heights = [float(height) for height in re.findall(r"[ML][\d.]+ ([\d.]+)", made)]
    assert heights[0] == heights[1] == heights[2], "what does not count does not raise the best"
    assert "attempt 1: failed, 4 of 10; attempt 2" in made
    assert ">3 attempts<" in made
    assert charts.history([], 10) == ""


def test_words_from_outside_are_escaped() -> None:
    made = charts.history([attempt(1, 4, outcome='"><script>')], 10)
    assert "<script>" not in made
    ElementTree.fromstring(str(made))
