"""Working in the cluster of a lab: ``kindling kubectl`` and ``kindling shell``."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import click
import pytest

from labs.cli.main import COMMANDS, cli
from labs.settings import load
from tests.unit.labs.cli.conftest import Command


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

        (tmp_path / "bin").mkdir()
        kubectl = tmp_path / "bin" / "kubectl"
        kubectl.write_text("#!/bin/sh\n")
        kubectl.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setenv("KINDLING_KUBECTL", str(kubectl))
        environment = working_environment(load(), tmp_path / "config")
        folder = Path(environment["PATH"].split(":")[-1])
        assert (folder / "kubectl").resolve() == kubectl
