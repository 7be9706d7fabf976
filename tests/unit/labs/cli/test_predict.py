"""``kindling predict``: asked on a terminal, listed elsewhere, kept once, shown by the check that measures it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import pytest

from labs.cli import predict as module
from tests.doubles.providers import ScriptedGrader
from tests.unit.labs.cli.conftest import Command, replace_grader
from tests.unit.labs.test_predictions import asking_and_quiet


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return asking_and_quiet(tmp_path / "catalog")


@pytest.fixture
def grader(monkeypatch: pytest.MonkeyPatch) -> ScriptedGrader:
    made = replace_grader(monkeypatch, ScriptedGrader())
    made.happened = {"who": "controller"}
    return made


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Somebody sits at a terminal and types these lines."""
    lines: list[str] = []
    monkeypatch.setattr(module, "live", lambda: True)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "prompt", lambda *_, **__: lines.pop(0))
    return lines


def test_questions_are_listed_with_how_to_answer(kindling: Command) -> None:
    assert kindling("predict", "first") == 0
    assert "who=kubelet: The kubelet" in kindling.out
    assert "kindling predict first --answer QUESTION=OPTION" in kindling.out
    assert "The kubelet replaces pods" not in kindling.out
    assert kindling("predict", "quiet") == 0
    assert "quiet asks for no predictions" in kindling.out


def test_options_answer_once(kindling: Command) -> None:
    assert kindling("predict", "first", "--answer", "who=kubelet", "--answer", "colour=blue") == 0
    assert "You said: The kubelet" in kindling.out
    assert kindling("predict", "first", "--answer", "who=nobody") == 1
    assert "who is answered already, and an answer stays" in kindling.err
    assert kindling("predict", "first", "--answer", "who") == 2
    assert kindling("predict", "first", "--answer", "who=scheduler") == 1
    assert "its options: kubelet, controller, nobody" in kindling.err
    assert kindling("predict", "nothing") == 1


def test_start_asks_where_somebody_sits_and_points_there_where_not(kindling: Command) -> None:
    assert kindling("start", "first") == 0
    assert "kindling predict first (2 questions)" in kindling.out
    assert kindling("start", "quiet") == 0
    assert "predict" not in kindling.out


def test_a_terminal_is_asked_until_the_answer_is_one(kindling: Command, typed: list[str]) -> None:
    typed += ["7", "kubelet", "1", ""]
    assert kindling("start", "first") == 0
    assert typed == []
    assert "  1  The kubelet" in kindling.out
    assert "7 is none of them" in kindling.out
    assert "kindling predict first (1 question)" in kindling.out
    typed += ["2"]
    assert kindling("predict", "first") == 0
    assert "You said: Blue" in kindling.out


def test_a_check_shows_what_happened_and_the_name_of_the_mistake(kindling: Command) -> None:
    kindling("predict", "first", "--answer", "who=kubelet")
    kindling("start", "first")
    assert kindling("check", "first") == 0
    assert "It was:   A controller  ✗ wrong, 0/2" in kindling.out
    assert "Misconception: The kubelet replaces pods" in kindling.out
    assert "passed: 10 of 12 points" in kindling.out
    assert kindling("check", "first", "--json") == 0
    told = json.loads(kindling.out)
    assert told["score"] == 10
    assert [(one["question"], one["answer"], one["happened"], one["right"]) for one in told["predictions"]] == [
        ("who", "kubelet", "controller", False),
        ("colour", None, "red", None),
    ]
    assert kindling("check", "first") == 0
    assert "Misconception" not in kindling.out  # once: kindling predict shows it again
    assert kindling("predict", "first") == 0
    assert "Misconception: The kubelet replaces pods" in kindling.out


def test_gradescope_adds_up(kindling: Command) -> None:
    kindling("predict", "first", "--answer", "who=controller")
    kindling("start", "first")
    assert kindling("check", "first", "--format", "gradescope") == 0
    told = json.loads(kindling.out)
    assert told["score"] == sum(one["score"] for one in told["tests"]) == 12
    assert sum(one["max_score"] for one in told["tests"]) == 12


def test_reports_show_misconceptions(kindling: Command) -> None:
    kindling("predict", "first", "--answer", "who=kubelet")
    assert kindling("report") == 0
    assert "1 of 1" in kindling.out
    assert "The kubelet replaces pods" in kindling.out
    assert kindling("report", "--lab", "first") == 0
    assert "1 answered, 0 of 0 right" in kindling.out
    assert kindling("report", "--format", "csv", "--predictions") == 0
    assert kindling.out.startswith("misconception,learners,asked,share,labs")
    assert kindling("report", "--lab", "first", "--format", "csv", "--predictions") == 0
    assert kindling.out.startswith("lab,question,text")
    assert kindling("report", "--learner", "ada") == 0
    assert "said: The kubelet" in kindling.out
    assert kindling("report", "--predictions") == 2
