"""What authors use: lint, replay, proofs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from grader.protocol import Outcome
from tests.doubles.providers import ScriptedGrader
from tests.unit.labs.cli.conftest import Command
from tests.unit.labs.conftest import LAB_YAML, write_lab


class TestAuthors:
    def test_lint_of_a_folder(self, kindling: Command, catalog: Path) -> None:
        assert kindling("lint", str(catalog / "first")) == 1
        assert "expected at least 5 states named broken-..." in kindling.out
        write_lab(catalog, "off", lab=LAB_YAML.replace("points: 10", "points: 11"))
        assert kindling("lint", "off") == 1
        assert "lab.yaml:5: points is 11, but the checks add up to 10" in kindling.out
        assert kindling("lint", "gone") == 1

    def test_replay_prints_a_matrix(self, kindling: Command, catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from tests.unit.labs.test_lint import FAILED, PASSED, add_state

        add_state(catalog / "first", "solved", PASSED)
        add_state(catalog / "first", "broken-a", FAILED)
        assert kindling("replay", "first", "--state", "solved") == 0
        assert "All 1 states came out as expected." in kindling.out
        assert kindling("replay", "first", "--jobs", "1") == 1
        assert re.search(r"^broken-a +passed +passed \(!\) +NO$", kindling.out, re.M)
        assert "1 of 2 states did not come out as expected" in kindling.err
        assert kindling.provider.clusters() == []


class TestProofs:
    """``prove``, on the provider that works here."""

    @pytest.fixture
    def lab(self, catalog: Path) -> Path:
        from tests.unit.labs.test_lint import FAILED, PASSED, add_state

        add_state(catalog / "first", "solved", PASSED)
        add_state(catalog / "first", "broken-a", FAILED)
        return catalog / "first"

    def prove(self, kindling: Command, *more: str) -> int:
        return kindling("prove", "first", "--on", "simulated", *more)

    def test_what_comes_out_right_is_kept_and_not_tried_again(
        self, kindling: Command, lab: Path, grader: ScriptedGrader
    ) -> None:
        grader.outcomes = {"second": Outcome.FAILED}
        assert self.prove(kindling) == 1
        assert "2 of 2 states to prove on simulated." in kindling.out
        assert "first/solved: missing: it was never proven" in kindling.out
        assert re.search(r"1 of 2 states not proven, in \d+ s: first/solved", kindling.err)
        assert self.prove(kindling, "--dry-run") == 1
        assert "1 of 2 states to prove" in kindling.out
        grader.outcomes = {}
        assert self.prove(kindling) == 0
        assert "1 state proven, in" in kindling.out
        assert kindling.provider.clusters() == []
        kept = yaml.safe_load((lab / "proof-simulated.yaml").read_text())
        assert list(kept["states"]) == ["solved", "broken-a"]
        assert kept["states"]["broken-a"]["outcomes"] == {"first": "passed", "second": "failed"}
        assert self.prove(kindling, "--dry-run") == 0
        graded = len(grader.requests)
        assert self.prove(kindling) == 0
        assert len(grader.requests) == graded
        grader.outcomes = {"second": Outcome.FAILED}
        assert self.prove(kindling, "--all") == 1
        assert "first/broken-a: holds" in kindling.out

    def test_a_lab_that_cannot_run_there_is_refused_with_the_reason(self, kindling: Command, lab: Path) -> None:
        (lab / "lab.yaml").write_text(LAB_YAML.replace("{nodes: 1}", "{metrics: true}"))
        assert self.prove(kindling) == 0
        assert "first cannot run there: simulated lacks metrics" in kindling.out
        assert yaml.safe_load((lab / "proof-simulated.yaml").read_text())["refused"]["why"] == "simulated lacks metrics"
        assert self.prove(kindling, "--dry-run") == 0

    def test_a_provider_that_does_not_work_changes_nothing(self, kindling: Command, lab: Path) -> None:
        assert kindling("prove", "first") == 1
        assert "Docker does not answer" in kindling.err
        assert not (lab / "proof-kind.yaml").exists()


def test_lint_of_everything_reads_the_courses_too(
    kindling: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    course = tmp_path / "courses" / "one"
    course.mkdir(parents=True)
    (course / "course.yaml").write_text("title: [\n")
    monkeypatch.setenv("KINDLING_COURSES", str(course.parent))
    assert kindling("lint") == 1
    assert f"{course / 'course.yaml'}:2: not YAML" in kindling.out
    assert "to mend in" in kindling.err
