"""The coverage page says what is so: no field is accepted, ignored and unnamed; no command is claimed and untried."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from simkube import coverage
from simkube.coverage.page import page
from simkube.runtime import catalogue

ROOT = Path(__file__).resolve().parents[3]
SESSIONS = sorted((ROOT / "tests" / "conformance").glob("test_*.py"))
LOCAL = {"completion", "config", "kuberc", "options", "plugin"}
"""kubectl's commands that never ask a server."""
GROUPS = ("apply", "auth", "certificate", "cluster-info", "create", "rollout", "set", "top")


def test_the_page_is_the_one_that_the_data_gives() -> None:
    stored = (ROOT / "docs" / "simulated-coverage.md").read_text()
    assert stored == page(), "run: .venv/bin/python -m simkube.coverage > docs/simulated-coverage.md"


def test_no_field_is_accepted_ignored_and_unnamed() -> None:
    assert [f"{field.key} ({field.path})" for field in coverage.unread()] == []


def test_every_field_that_is_named_exists() -> None:
    assert set(coverage.fields()) - {field.key for field in coverage.met()} == set()


@pytest.mark.parametrize("text", ["", "stored", "stored:", "ignored: because", "refused : why"])
def test_a_note_needs_a_state_and_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match="expected one of"):
        coverage.note(text)


def test_every_image_is_told_of_once() -> None:
    told = [family for group in coverage.images().values() for family in group.families]
    assert sorted([*told, "stand-in"]) == sorted(catalogue.read(""))


def _kubectl_commands(*group: str) -> set[str]:
    """The commands that kubectl's own help lists."""
    kubectl = Path(sys.executable).parent / "kubectl"
    text = subprocess.run([kubectl, *group, "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
    listed = text.partition("\nUsage:")[0]
    return {match[1] for match in re.finditer(r"^  ([a-z][a-z-]*) {2,}[A-Z]", listed, re.MULTILINE)}


def test_every_command_of_kubectl_is_named() -> None:
    named = set(coverage.data("commands.yaml"))
    assert _kubectl_commands() - LOCAL <= {name.split()[0] for name in named}
    for group in GROUPS:
        assert {f"{group} {command}" for command in _kubectl_commands(group)} <= {
            *named,
            *(" ".join(name.split()[:2]) for name in named),
        }


def test_every_command_that_is_claimed_is_tried() -> None:
    tried = " ".join(re.sub(r"[\"',\s]+", " ", path.read_text()) for path in SESSIONS)
    claimed = [name for name, state in coverage.data("commands.yaml").items() if not state.startswith("refused")]
    assert [name for name in claimed if not re.search(rf"\b{re.escape(name)}\b", tried)] == []
