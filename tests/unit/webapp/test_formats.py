"""How times, durations, points and feedback are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from webapp import formats

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.42, "0.4 s"),
        (48, "48 s"),
        (200, "3 min"),
        (3599, "1 h 00 min"),
        (11100, "3 h 05 min"),
        (200000, "2 d 7 h"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(-3, "0:00"), (59.9, "0:59"), (727, "12:07"), (14345, "3:59:05")])
def test_clock(seconds: float, text: str) -> None:
    assert formats.clock(seconds) == text


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(0.5, "just now"), (5, "5 min ago"), (185, "3 h ago"), (1500, "yesterday"), (20000, "13 days ago")],
)
def test_ago(minutes: float, text: str) -> None:
    assert formats.ago(NOW - timedelta(minutes=minutes), NOW) == text
    assert formats.ago(None) == "never"


def test_points_and_percent_and_plural() -> None:
    assert [formats.points(value) for value in (None, 3, 2.5, 0.333)] == ["–", "3", "2.5", "0.33"]
    assert [formats.percent(2, 3), formats.percent(None), formats.percent(1, 0)] == ["67 %", "–", "–"]
    assert [formats.plural(1, "try", "tries"), formats.plural(2, "try", "tries")] == ["1 try", "2 tries"]


def test_feedback_comes_in_its_parts() -> None:
    message = "Expected: 3 ready\nObserved: 0 of 3\n  last line: x\nLook: kubectl logs web: it says why"
    assert formats.feedback(message) == [
        ("Expected", "3 ready"),
        ("Observed", "0 of 3\n  last line: x"),
        ("Look", "kubectl logs web: it says why"),
    ]
    assert formats.feedback("Expected: a Observed: b Look: c") == [("Expected", "a"), ("Observed", "b"), ("Look", "c")]
    assert formats.feedback("Expected: a\nLook: c\nWhat if: with x: 0\nWhat if: with y: 1")[2:] == [
        ("What if", "with x: 0"),
        ("What if", "with y: 1"),
    ]
    assert formats.feedback("something else: x") == [("", "something else: x")]
    assert formats.feedback("  ") == []


def test_one_is_no_plural() -> None:
    assert [formats.plural(count, "point") for count in (0, 1, 1.5, 2)] == [
        "0 points",
        "1 point",
        "1.5 points",
        "2 points",
    ]
    assert [formats.unit(count, "point") for count in (1, 2, None)] == ["point", "points", "points"]
