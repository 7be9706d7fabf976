"""The drawing of what happened: whole, readable without colour and without eyes, and nobody else's markup."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree as ET

import pytest

from labs.session.timeline import Bar, Sample, Step, Timeline
from webapp.plot import WIDTH, plot

BARS = [Bar(0.0, 0.5, 10, 0, 2.0, 2), Bar(0.5, 0.5, 10, 4, 3.0, 1), Bar(1.0, 0.5, 0, 0, None, 0)]
SAMPLES = [Sample(0.0, 3, 3), Sample(1.0, 3, 2), Sample(2.0, 4, 3)]
STEPS = [Step(0.4, "The grader deleted pod <b>web</b>.", 1), Step(0.41, "The grader scaled web to 4 replicas.", 2)]


def drawn(line: Timeline) -> ET.Element:
    return ET.fromstring(str(plot(line)))


def shapes(root: ET.Element, name: str) -> list[ET.Element]:
    return [one for one in root.iter() if name in (one.get("class") or "").split()]


def test_it_shows_requests_failures_replicas_and_what_was_done() -> None:
    root = drawn(Timeline(3.0, BARS, SAMPLES, STEPS))
    assert [len(shapes(root, name)) for name in ("good", "bad", "there", "ready", "mark", "badge")] == [
        3,
        1,
        1,
        1,
        2,
        2,
    ]


def test_failures_hang_below_the_line() -> None:
    root = drawn(Timeline(3.0, BARS, [], []))
    (bad,) = shapes(root, "bad")
    for good in shapes(root, "good"):
        assert float(good.get("y") or 0) + float(good.get("height") or 0) <= float(bad.get("y") or 0) + 0.11


def test_it_says_what_it_shows() -> None:
    root = drawn(Timeline(3.0, BARS, SAMPLES, STEPS))
    assert root.get("role") == "img"
    assert root.get("aria-label") == (
        "Over 3 seconds; 20 requests, of which 4 failed; failures from 0 to 1 seconds; 2 to 3 replicas ready; "
        "the grader acted at 0, 0 seconds."
    )


def test_replicas_that_answered_stand_for_replicas_nobody_watched() -> None:
    root = drawn(Timeline(3.0, BARS, [], []))
    assert len(shapes(root, "ready")) == 1
    assert "Replicas that answered" in "".join(root.itertext())
    unknown = [Bar(one.start, one.seconds, one.sent, one.failed, one.ms, None) for one in BARS]
    assert shapes(drawn(Timeline(3.0, unknown, [], [])), "ready") == []


def test_marks_close_together_have_numbers_apart() -> None:
    root = drawn(Timeline(100.0, BARS, [], [Step(50 + at / 100, "x", at + 1) for at in range(5)]))
    across = [float(one.get("cx") or 0) for one in shapes(root, "badge")]
    assert all(right - left >= 13 for left, right in itertools.pairwise(across))


@pytest.mark.parametrize("seconds", [0.2, 1.0, 7.3, 59.0, 611.0, 90_000.0])
def test_nothing_leaves_the_picture(seconds: float) -> None:
    marks = [Step(seconds * at / 19, "x", at + 1) for at in range(20)]
    bars = [Bar(seconds * at / 50, seconds / 50, at, at // 2, 1.0, 1) for at in range(50)]
    root = drawn(Timeline(seconds, bars, SAMPLES, marks))
    tall = float((root.get("viewBox") or "").split()[3])
    for one in root.iter():
        for name, most in (("x", WIDTH), ("cx", WIDTH), ("y", tall), ("cy", tall)):
            assert 0 <= float(one.get(name) or 0) <= most, ET.tostring(one)
    ticks = [one for one in root.iter() if re.fullmatch(r"[\d.]+ s", one.text or "")]
    assert 2 <= len(ticks) <= 8


def test_there_is_no_drawing_of_nothing() -> None:
    assert plot(Timeline(3.0, [], [], STEPS)) == ""
    assert plot(Timeline(0.0, BARS, [], [])) == ""


def test_a_learners_words_are_not_in_it() -> None:
    assert "web" not in str(plot(Timeline(3.0, BARS, SAMPLES, STEPS)))
