"""The soak in a short form: hostile members, a hand-in, kill -9, labs that go. Nothing about time: only what must hold.

The long form is ``make soak``: the same parts with other numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from soak import beside, hand_in, kills, memory
from soak.members import MEMBERS
from soak.report import Report
from soak.stage import Stage

FEW = ("EndlessCreates", "Patterns", "CpuLoops", "IdleConnections", "HalfSentRequests", "HugePatches", "Policies")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    report = Report(quiet=True)
    with Stage(tmp_path, report) as made:
        yield made
    assert report.broken == []


def test_neighbours_of_hostile_members_are_answered(stage: Stage) -> None:
    beside.together(stage, FEW, reads=40)
    assert stage.report.rows


def test_a_class_beside_hostile_members_gets_right_verdicts(stage: Stage) -> None:
    hand_in.beside_hostile_members(stage, 2, unsolved={1}, hostile=FEW[:3])
    assert [row.now for row in stage.report.rows if row.reach == "none ungradable"] == ["1 failed, 1 passed"]


def test_nothing_is_lost_by_kill_9(stage: Stage) -> None:
    kills.run(stage, kills=3, learners=1, every=(0.1, 1.0))
    assert any(row.what.startswith("3 killed") for row in stage.report.rows)


def test_labs_that_go_leave_nothing(stage: Stage) -> None:
    memory.run(stage, 6, shown=(2,), rest=lambda seconds: None)
    assert len(stage.report.rows) == 2


def test_every_member_says_what_it_does() -> None:
    assert [name for name, member in MEMBERS.items() if not (member.__doc__ or "").strip()] == []


def test_the_table_has_what_was_measured_and_the_run_fails_for_what_is_broken() -> None:
    report = Report(quiet=True)
    report.row("a | b", "3 s", reach="1 s", before="9 s", good=False)
    report.invariant("two learners", 1 + 1 == 2)
    report.invariant("nothing is lost", False, ["x"])
    assert report.table().splitlines()[-1] == "| a \\| b | 9 s | 3 s | 1 s |"
    assert report.broken == ["nothing is lost: ['x']"]
