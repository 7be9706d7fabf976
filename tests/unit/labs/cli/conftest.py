"""The command over a catalog of one lab, with nothing real behind it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from labs import grading
from labs.cli.main import run
from labs.clusters import registry
from tests.doubles.providers import MemoryProvider, ScriptedGrader, UnavailableProvider


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
