"""The command as a whole: what it prints, what it exits with, and that nobody ever sees a traceback."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

from grader.protocol import Outcome
from labs.cli.main import COMMANDS, cli
from labs.cli.suggestions import WITH_LEARNER
from labs.clusters import registry
from tests.doubles.providers import BrokenHalfwayProvider, ImagelessProvider, MemoryProvider, ScriptedGrader
from tests.unit.labs.cli.conftest import Command
from tests.unit.labs.conftest import write_lab


def test_help_lists_every_command(kindling: Command) -> None:
    assert kindling("--help") == 0
    listed = kindling.out
    for name, (_, about) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(about[:20])}", listed, re.M)
        assert kindling(name, "--help") == 0


def test_a_day_in_the_lab(kindling: Command, grader: ScriptedGrader) -> None:
    assert kindling("start", "first") == 0
    assert kindling.out.splitlines()[0].startswith("first on simulated: Making nodes (")
    assert "first is ready on simulated, for 1 h 20 min." in kindling.out
    assert kindling("status") == 0
    assert kindling.out.splitlines()[1].split()[:3] == ["first", "simulated", "ready"]
    grader.outcomes = {"second": Outcome.FAILED}
    assert kindling("check", "first") == 1
    assert kindling.out.splitlines() == [
        "✓ passed  First  (3/3, 0.5 s)",
        "✗ failed  Second  (0/7, 0.5 s)",
        "    expected second, found nothing\N{REPLACEMENT CHARACTER}",
        next(line for line in kindling.out.splitlines() if line.startswith("✗ failed: 3 of 10 points, attempt 1, ")),
        "  a hint: kindling hint first",
    ]
    assert kindling("hint") == 0
    assert kindling.out == "The second thing (hint 1 of 1)\nNearly there.\n"
    assert kindling("reset", "first") == 0
    assert "first is as it was at the start." in kindling.out
    grader.outcomes = {}
    assert kindling("check") == 0
    assert kindling("report") == 0
    assert re.search(r"^ada .* 10/10 +10/[0-9]+ +2 ", kindling.out, re.M)
    assert kindling("extend", "first") == 0
    assert kindling("stop", "first") == 0
    assert kindling.out == "first is stopped.\n"
    assert kindling.provider.clusters() == []
    assert kindling("status") == 0
    assert "No lab has been started" in kindling.out


def test_labs_and_their_instructions(kindling: Command, catalog: Path) -> None:
    write_lab(catalog, "bad", lab="title: [\n")
    assert kindling("labs") == 0
    assert re.search(r"^first +beginner +20 min +1 +-/10 +A first lab$", kindling.out, re.M)
    assert "bad cannot be loaded: " in kindling.err
    assert "lab.yaml, line 2: not YAML" in kindling.err
    assert kindling("labs", "first") == 0
    assert re.search(r"Make [234] of (aurora|borealis)\. It costs \$5", kindling.out)


class TestTrouble:
    def test_unknown_things_have_a_way_on(self, kindling: Command) -> None:
        assert kindling("start", "nope") == 1
        assert kindling.err == "kindling: there is no lab 'nope'; there are: first, pods\n  try: kindling labs\n" or (
            "there are: " in kindling.err
        )
        assert kindling("start", "first", "--on", "cloud") == 1
        assert "there are: simulated, kind" in kindling.err
        assert kindling("start", "first") == 0
        assert kindling("start", "first", "--on", "moon") == 1
        assert "there is no provider 'moon'; there are: simulated, kind" in kindling.err
        assert kindling("frobnicate") == 2
        assert kindling("start") == 2

    def test_docker_missing_offers_the_simulated_one(self, kindling: Command) -> None:
        assert kindling("start", "first", "--on", "kind") == 1
        assert kindling.err == (
            "kindling: Docker does not answer; simulated has what it needs: kindling start first --on simulated\n"
            "  try: sudo systemctl start docker\n"
        )

    def test_a_cluster_that_does_not_come_up(
        self, kindling: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        broken = BrokenHalfwayProvider(tmp_path / "broken")
        monkeypatch.setattr(registry, "MAKERS", {"simulated": lambda _: broken, "kind": lambda _: broken})
        assert kindling("start", "first") == 1
        assert "first is failed: the image web:1.0 cannot be pulled\n  try: docker pull web:1.0" in kindling.err

    def test_an_image_missing_offers_the_simulated_one_which_then_starts(
        self, kindling: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        imageless = ImagelessProvider(tmp_path / "imageless")
        makers = {"simulated": lambda _: kindling.provider, "kind": lambda _: imageless}
        monkeypatch.setattr(registry, "MAKERS", makers)
        assert kindling("start", "first", "--on", "kind") == 1
        assert kindling.err == (
            "kindling: first is failed: the image web:1.0 is not here; simulated has what it needs: "
            "kindling start first --on simulated\n  try: docker pull web:1.0\n"
        )
        assert kindling("start", "first", "--on", "simulated") == 0
        assert "first is ready on simulated" in kindling.out

    def test_settings(self, kindling: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KINDLING_PORT", "http")
        assert kindling("labs") == 1
        assert kindling.err == "kindling: KINDLING_PORT is 'http': expected a whole number from 0 to 65535\n"

    def test_what_nobody_foresaw_is_one_sentence_and_a_log(
        self, kindling: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def explode(*_: object) -> None:
            raise RuntimeError("deep inside")

        monkeypatch.setattr(MemoryProvider, "capabilities", explode)
        assert kindling("start", "first") == 1
        assert kindling.err.count("\n") == 1
        assert "(RuntimeError); the details are in" in kindling.err
        assert "deep inside" in (kindling.home / "kindling.log").read_text()

    def test_a_home_that_cannot_be_written(self, kindling: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KINDLING_HOME", "/proc/kindling")
        assert kindling("labs") == 1
        assert "KINDLING_HOME cannot be used" in kindling.err


class TestLearners:
    def test_each_has_their_own(self, kindling: Command) -> None:
        assert kindling("start", "first", "--learner", "bob") == 0
        assert kindling("status") == 0
        assert "No lab has been started" in kindling.out
        assert kindling("check", "first") == 2
        assert kindling("check", "first", "--learner", "bob") == 0

    def test_what_is_suggested_is_for_the_learner_one_works_for(
        self, kindling: Command, grader: ScriptedGrader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bob = ("--learner", "bob")
        for command in (["check", "first", *bob], ["kubectl", "first", *bob, "--", "get", "pods"]):
            assert kindling(*command) > 0
            said = "kindling: first has not been started for bob\n  try: kindling start first --learner bob\n"
            assert kindling.err == said
        kindling("status", *bob)
        assert kindling.out == "No lab has been started for bob. What there is: kindling labs --learner bob\n"
        assert kindling("start", "first", "--on", "kind", *bob) == 1
        assert "has what it needs: kindling start first --learner bob --on simulated\n" in kindling.err
        kindling("start", "first", *bob)
        for command in ("labs", "shell", "check"):
            assert f"kindling {command} first --learner bob\n" in kindling.out
        grader.outcomes = {"first": Outcome.FAILED}
        kindling("check", "first", *bob)
        assert kindling.out.endswith("  a hint: kindling hint first --learner bob\n")
        monkeypatch.setattr("labs.cli.shell._run", lambda *_: 0)
        kindling("shell", "first", *bob)
        assert "kindling check first --learner bob hands in" in kindling.out
        assert kindling("start", "first", "--learner", "ada") == 0  # who sits here
        assert "--learner" not in kindling.out
        kindling("hint", "nope")
        assert kindling.err.endswith("try: kindling labs\n")

    def test_every_command_with_a_learner_is_suggested_with_one(self) -> None:
        commands = {name: cli.get_command(click.Context(cli), name) for name in COMMANDS if name != "report"}
        having = [name for name, one in commands.items() if one and any(each.name == "learner" for each in one.params)]
        assert sorted(WITH_LEARNER) == sorted(having)

    def test_an_odd_name_is_refused(self, kindling: Command) -> None:
        assert kindling("start", "first", "--learner", "../../x") == 1
        assert "A name to sign in with has at most 64" in kindling.err


class TestReport:
    def test_csv_json_and_details(self, kindling: Command, grader: ScriptedGrader) -> None:
        kindling("start", "first")
        grader.outcomes = {"second": Outcome.FAILED}
        kindling("check", "first")
        assert kindling("report", "--format", "csv") == 0
        assert kindling.out.splitlines()[0].startswith("learner,name,email,score,max_score,minutes,last_activity,")
        assert kindling("report", "--format", "json") == 0
        row = json.loads(kindling.out)["rows"][0]
        assert (row["learner"], row["score"]) == ("ada", 3)
        assert kindling("report", "--learner", "ada") == 0
        assert '- {"seen": "second"}' in kindling.out
        assert kindling("report", "--lab", "first") == 0
        assert "1x expected second, found nothing" in kindling.out
        assert kindling("report", "--lab", "first", "--learner", "ada") == 2
        assert kindling("report", "--class", "none") == 1


def test_a_provider_that_nobody_knows(kindling: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINDLING_PROVIDERS", "simulated,cluod")
    assert kindling("status") == 1
    assert "KINDLING_PROVIDERS names 'cluod': expected some of kind, simulated" in kindling.err


def test_a_full_disk_is_a_sentence(kindling: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("labs.cli.context.settings", full)
    assert kindling("status") == 1
    assert kindling.err == "kindling: the disk is full; free some space and do that again\n"
