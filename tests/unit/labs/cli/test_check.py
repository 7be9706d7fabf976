"""Handing in: what is shown and left with, however the attempt ends."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from grader.protocol import Outcome
from labs.bootstrap import bootstrap
from labs.cli.check import _Watcher
from labs.errors import Unavailable
from labs.locks import Locks
from labs.session import AttemptView
from labs.settings import load
from tests.doubles.providers import CrashingGrader, InterruptedGrader, ScriptedGrader
from tests.unit.labs.cli.conftest import Command, replace_grader


def handed_in(kindling: Command) -> AttemptView:
    """The first lab, started and handed in."""
    kindling("start", "first")
    kindling("check", "first")
    services = bootstrap(load({"KINDLING_HOME": str(kindling.home)}))
    attempt = services.sessions.attempts(services.accounts.local().name, "first")[0]
    services.close()
    return attempt


class TestCheck:
    def test_json_has_the_promised_fields(self, kindling: Command, grader: ScriptedGrader) -> None:
        kindling("start", "first")
        grader.outcomes = {"first": Outcome.FAILED}
        assert kindling("check", "first", "--json") == 1
        found = json.loads(kindling.out)
        told = ["lab", "attempt", "provider", "outcome", "score", "max_score", "seconds", "checks", "predictions"]
        assert list(found) == told
        assert (found["lab"], found["provider"], found["outcome"]) == ("first", "simulated", "failed")
        assert (found["score"], found["max_score"]) == (7, 10)
        assert list(found["checks"][0]) == ["name", "title", "outcome", "points", "max_points", "message"]

    def test_gradescope(self, kindling: Command, grader: ScriptedGrader) -> None:
        kindling("start", "first")
        grader.outcomes = {"first": Outcome.FAILED}
        assert kindling("check", "first", "--format", "gradescope") == 1
        found = json.loads(kindling.out)
        assert found["score"] == 7
        assert found["tests"][1] == {
            "name": "Second",
            "score": 7.0,
            "max_score": 7.0,
            "status": "passed",
            "output": "",
            "output_format": "text",
            "visibility": "visible",
        }

    def test_ungradable_is_3_and_no_score(self, kindling: Command, grader: ScriptedGrader) -> None:
        kindling("start", "first")
        grader.outcomes = {"first": Outcome.UNGRADABLE}
        assert kindling("check", "first") == 3
        assert "? ungradable: attempt 1. This attempt could not be graded and does not count." in kindling.out
        assert kindling("check", "first", "--format", "gradescope") == 3
        assert "score" not in json.loads(kindling.out)

    def test_the_numbers_of_attempts_that_do_not_count_are_said(
        self, kindling: Command, monkeypatch: pytest.MonkeyPatch, grader: ScriptedGrader
    ) -> None:
        kindling("start", "first")
        kindling("check", "first")
        kindling("status")
        assert "does not count" not in kindling.out
        replace_grader(monkeypatch, CrashingGrader())
        kindling("check", "first")
        replace_grader(monkeypatch, grader)
        kindling("check", "first")
        assert "attempt 3" in kindling.out
        kindling("status")
        assert re.search(r"COUNTED ATTEMPTS\nfirst .* 10/10 +2\n", kindling.out)
        assert "first: Attempt 2 could not be graded and does not count." in kindling.out
        replace_grader(monkeypatch, CrashingGrader())
        kindling("check", "first")
        kindling("status")
        assert "first: Attempts 2 and 4 could not be graded and do not count." in kindling.out

    def test_a_grader_that_crashes_is_3(self, kindling: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        kindling("start", "first")
        replace_grader(monkeypatch, CrashingGrader())
        assert kindling("check", "first") == 3
        assert "out of memory" not in kindling.out + kindling.err
        assert "out of memory" in (kindling.home / "kindling.log").read_text()

    def test_whoever_waits_sees_the_place(self, kindling: Command, capsys: pytest.CaptureFixture[str]) -> None:
        attempt = handed_in(kindling)
        watcher = _Watcher()
        for before in (3, 2):
            watcher(replace(attempt, state="wanted", checks=[], before=before))
        assert capsys.readouterr().out == "waiting: 3 before you\n"

    def test_what_would_have_been_is_told_once_and_below(
        self, kindling: Command, capsys: pytest.CaptureFixture[str]
    ) -> None:
        done = handed_in(kindling)
        before = replace(done.checks[0], outcome="failed", message="Expected: a\nObserved: b")
        line = "What if: with luck: 0 failed requests instead of 41"
        after = replace(done, outcome="failed", checks=[replace(before, message=f"{before.message}\n{line}")])
        early, late = _Watcher(), _Watcher()
        early(replace(done, state="running", checks=[before]))
        assert "What if" not in capsys.readouterr().out
        early.summary(after, [])
        assert f"{before.title}\n    {line}\n" in capsys.readouterr().out
        late.summary(after, [])
        assert capsys.readouterr().out.count(line) == 1

    def test_no_process_is_started_early_when_none_could_grade(
        self, kindling: Command, grader: ScriptedGrader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started: list[str] = []
        monkeypatch.setattr(grader, "prestart", lambda: started.append("now"))
        monkeypatch.setenv("KINDLING_GRADERS", "1")
        with Locks(kindling.home / "locks" / "graders").hold("0"):
            assert kindling("check", "first") == 2
        assert started == []
        assert kindling("check", "first") == 2
        assert started == ["now"]

    def test_ctrl_c_is_one_word(self, kindling: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        kindling("start", "first")
        replace_grader(monkeypatch, InterruptedGrader())
        assert kindling("check", "first") == 130
        assert kindling.err.strip() == "kindling: Interrupted."

    def test_nothing_to_hand_in_is_2(self, kindling: Command) -> None:
        assert kindling("check", "first") == 2
        assert kindling.err == "kindling: first has not been started\n  try: kindling start first\n"
        assert kindling("check") == 2
        assert kindling("check", "--format", "xml") == 2
        kindling("check", "--help")
        assert "2 when nothing could be handed in" in " ".join(kindling.out.split())

    def test_what_learners_wrote_cannot_move_the_cursor(self, kindling: Command, grader: ScriptedGrader) -> None:
        kindling("start", "first")
        grader.plan = (("\x1b[2Jfirst\x1b]0;x\x07[red]\u202e", 10.0),)
        grader.outcomes = {grader.plan[0][0]: Outcome.FAILED}
        assert kindling("check", "first") == 1
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", kindling.out)
        assert "[Red]" in kindling.out or "[red]" in kindling.out


def test_a_running_check_keeps_to_its_line(
    kindling: Command, monkeypatch: pytest.MonkeyPatch, grader: ScriptedGrader
) -> None:
    monkeypatch.setattr("labs.cli.output.live", lambda: True)
    monkeypatch.setenv("COLUMNS", "12")
    assert kindling("start", "first") == 0
    assert kindling("check", "first") == 0
    shown = re.findall(r"  … [^\r\x1b\n]*", kindling.out)
    assert shown
    assert max(map(len, shown)) <= 11


def test_records_that_fail_after_handing_in_lose_nothing(
    kindling: Command, monkeypatch: pytest.MonkeyPatch, grader: ScriptedGrader
) -> None:
    assert kindling("start", "first") == 0

    def away(*_: object) -> None:
        raise Unavailable("the records are locked")

    with monkeypatch.context() as patch:
        patch.setattr("labs.session.service.SessionService.follow", away)
        assert kindling("check", "first") == 3
    assert "attempt 1 is handed in, and graded later: the records are locked" in kindling.err
    assert "try: kindling check first" in kindling.err
    assert kindling("check", "first") == 0
    assert "attempt 1" in kindling.out
