"""A lab, a setting, a provider or a helper for checks that is not documented does not exist."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path

import pytest

import grader
from grader.plugin import Grading
from labs.certify.containers import Container, Probe
from labs.certify.expressions import FUNCTIONS
from labs.certify.facts import Endpoint, Pod, Service, Workload, World
from labs.certify.oracle import HOLDS
from labs.certify.page import page
from labs.cli.main import COMMANDS
from labs.clusters.registry import MAKERS
from labs.library import Library
from labs.proofs import Digests
from labs.settings import load

ROOT = Path(__file__).resolve().parents[2]
OPERATING, AUTHORING, ARCHITECTURE, README = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("docs/operating.md", "docs/authoring.md", "docs/architecture.md", "README.md")
)
SETTINGS = load({"KINDLING_HOME": os.devnull})
RAISED = {"CheckFailed", "GraderError"}  # by helpers; authors call fail
VARIABLE = re.compile(r"[\"\x27](KIND(?:LING)?_[A-Z_]*[A-Z])[\"\x27]")


def variables() -> set[str]:
    """Every environment variable that the code names."""
    sources = [path for area in ("labs", "webapp", "grader") for path in (ROOT / area).rglob("*.py")]
    return {name for path in sources for name in VARIABLE.findall(path.read_text(encoding="utf-8"))}


def fixtures() -> list[str]:
    """What a check may take as an argument."""
    marked = [name for name, found in inspect.getmembers(Grading) if "fixture" in type(found).__name__.lower()]
    assert "cluster" in marked
    return [name for name in marked if not name.startswith("_")]


@pytest.mark.parametrize("name", sorted(variables()))
def test_every_setting_is_in_operating(name: str) -> None:
    assert f"`{name}`" in OPERATING


def test_operating_names_no_setting_that_is_gone() -> None:
    assert set(re.findall(r"KIND(?:LING)?_[A-Z_]*[A-Z]", OPERATING)) == variables()


@pytest.mark.parametrize("lab", Library((ROOT / "labs" / "catalog",)).all(), ids=lambda lab: str(lab.name))
def test_every_lab_tells_the_learner_what_to_do(lab: object) -> None:
    assert len((lab.folder / "instructions.md").read_text(encoding="utf-8")) > 500  # type: ignore[attr-defined]
    course = (ROOT / "content" / "kubernetes-architecture" / "course.yaml").read_text(encoding="utf-8")
    assert lab.name in course  # type: ignore[attr-defined]


def test_what_requirements_may_call_is_in_authoring() -> None:
    section = AUTHORING.partition("### Requirements")[2].partition("### Rulings")[0]
    there = {*World([], "default").names, *FUNCTIONS, HOLDS}
    for kind in (Pod, Container, Probe, Service, Endpoint, Workload):
        there |= {name for name in vars(kind) if not name.startswith("_")} | {*kind.__dataclass_fields__}
    missing = {name for name in there - {"raw", "world", "grace", "kind"} if not re.search(rf"\b{name}\b", section)}
    assert missing == set()


def test_the_page_of_graders_is_of_the_certificates() -> None:
    stored = (ROOT / "docs" / "graders.md").read_text(encoding="utf-8")
    assert stored == page(
        Library((ROOT / "labs" / "catalog",)).all(), Digests("simulated", SETTINGS.topologies, SETTINGS.images)
    ), "run: make certify"


@pytest.mark.parametrize("provider", sorted(MAKERS))
def test_every_provider_is_described(provider: str) -> None:
    assert f"`{provider}`" in ARCHITECTURE
    assert f"`{provider}`" in OPERATING or provider in OPERATING


@pytest.mark.parametrize("name", sorted({*grader.__all__, *fixtures()} - RAISED))
def test_every_helper_for_checks_is_in_authoring(name: str) -> None:
    assert re.search(rf"`@?{name}\b", AUTHORING)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_told_of(command: str) -> None:
    documents = README + OPERATING + AUTHORING
    assert re.search(rf"\b{command}\b", documents)


def test_files_below_home_are_those_that_are_listed(tmp_path: Path) -> None:
    settings = load({"KINDLING_HOME": str(tmp_path)})
    listed = set(re.findall(r"`([\w.-]+)/?[A-Z/]*`", OPERATING.partition("## State")[2].partition("## Settings")[0]))
    for path in (settings.locks, settings.log_file, settings.sessions, tmp_path / "kindling.db"):
        assert path.name in listed
