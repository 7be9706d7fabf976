"""What lint finds, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from labs.lint import lint
from tests.unit.labs.conftest import LAB_YAML, write_lab

PASSED = "{first: passed, second: passed}"
FAILED = "{first: passed, second: failed}"


def add_state(lab: Path, name: str, expected: str, steps: str = "[]") -> Path:
    folder = lab / "states" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "state.yaml").write_text(f"description: x\nsteps: {steps}\nexpected: {expected}\n")
    return folder


@pytest.fixture
def lab(catalog: Path) -> Path:
    """A lab with which nothing is wrong."""
    folder = catalog / "first"
    for name in ("solved", "alternative-a", "alternative-b"):
        add_state(folder, name, PASSED)
    for letter in "abcde":
        add_state(folder, f"broken-{letter}", FAILED)
    return folder


def found(folder: Path) -> list[str]:
    return [f"{Path(one.file).relative_to(folder)}:{one.line}: {one.message}" for one in lint(folder)]


def test_a_good_lab_is_fine(lab: Path) -> None:
    assert found(lab) == []


def test_points_that_do_not_add_up(lab: Path) -> None:
    (lab / "lab.yaml").write_text(LAB_YAML.replace("points: 10", "points: 9"))
    assert found(lab) == ["lab.yaml:5: points is 9, but the checks add up to 10"]


def test_hints_for_no_check_and_none_for_one(lab: Path) -> None:
    (lab / "lab.yaml").write_text(LAB_YAML.replace("  second:", "  third:"))
    assert found(lab) == [
        "lab.yaml:11: expected a hint for the check second",
        "lab.yaml:13: hints for third, which is no check; there are: first, second",
    ]


def test_unknown_parameters_everywhere(lab: Path) -> None:
    (lab / "lab.yaml").write_text(LAB_YAML.replace("Look at ${app}", "Look at ${oops}"))
    (lab / "instructions.md").write_text("\n\n${nope}\n")
    assert [line.split(" is not")[0] for line in found(lab)] == ["instructions.md:3: ${nope}"]
    (lab / "instructions.md").write_text("${namespace}")
    assert [line.split(" is not")[0] for line in found(lab)] == ["lab.yaml:12: ${oops}"]


def test_states_that_are_too_few_or_do_not_fit(lab: Path) -> None:
    (lab / "states" / "solved" / "state.yaml").unlink()
    add_state(lab, "broken-a", PASSED)
    add_state(lab, "broken-b", "{first: failed}")
    add_state(lab, "broken-c", FAILED, "[{apply: gone.yaml}]")
    add_state(lab, "other", PASSED)
    assert found(lab) == [
        "states:1: expected at least 1 states named solved, found 0",
        "states/broken-a/state.yaml:1: a broken state passes every check",
        "states/broken-b/state.yaml:1: expected an outcome of the check second",
        "states/broken-c/state.yaml:1: expected a file gone.yaml beside it",
        "states/other/state.yaml:1: expected a folder named solved, alternative-... or broken-...",
    ]


def test_a_difference_that_is_none(lab: Path) -> None:
    differs = "\ndiffers: {kind: {expected: {%s: failed}, reason: Its kubelet does this otherwise.}}"
    add_state(lab, "broken-a", FAILED + differs % "first")
    assert found(lab) == []
    add_state(lab, "broken-b", FAILED + differs % "second")
    add_state(lab, "broken-c", FAILED + differs % "third")
    assert found(lab) == [
        "states/broken-b/state.yaml:1: differs on kind: second is no check, or comes out as it does elsewhere",
        "states/broken-c/state.yaml:1: differs on kind: third is no check, or comes out as it does elsewhere",
    ]


def test_a_malformed_state_has_its_line(lab: Path) -> None:
    add_state(lab, "solved", "{first: maybe, second: passed}")
    assert found(lab) == ["states/solved/state.yaml:3: expected.first: input should be 'passed' or 'failed'"]


def test_a_malformed_lab_is_one_finding(catalog: Path) -> None:
    folder = write_lab(catalog, "bad", lab="title: 5\n")
    assert [line.split(":")[1] for line in found(folder)] == ["1"]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("import time", "import time"),
        ("import time as clock_of_mine", "import time"),
        ("from time import sleep", "from time import sleep"),
        ("def wait(time): time.sleep(1)", "time.sleep"),
        ("import datetime; x = lambda: datetime.datetime.now()", "datetime.now"),
        ("from datetime import datetime as when; x = lambda: when.utcnow()", "datetime.utcnow"),
        ("import datetime; x = datetime.date.today", "date.today"),
        ("import asyncio; x = asyncio.sleep(1)", "asyncio.sleep"),
        ("from asyncio import sleep", "from asyncio import sleep"),
        ("import threading; threading.Timer(1, print)", "threading.Timer"),
    ],
)
def test_checks_do_not_use_the_wall_clock(lab: Path, line: str, what: str) -> None:
    checks = lab / "checks.py"
    lines = checks.read_text().splitlines()
    checks.write_text("\n".join([*lines, line, ""]))
    ours = [one for one in found(lab) if "wall clock" in one]
    assert ours
    assert f"checks.py:{len(lines) + 1}: {what} is the wall clock's time; expected the cluster's time" in ours[-1]
    assert "clock.now()" in ours[-1]


def test_dates_as_such_are_no_use_of_the_wall_clock(lab: Path) -> None:
    checks = lab / "checks.py"
    more = "import datetime\nwhen = datetime.datetime.fromisoformat\n\ndef f(clock): return clock.now() + clock.time\n"
    checks.write_text(checks.read_text() + more)
    assert found(lab) == []
