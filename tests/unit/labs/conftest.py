"""A small catalog and services over it, with nothing real behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from labs.accounts import passwords
from labs.bootstrap import Kindling, bootstrap
from labs.clusters.provider import Provider
from labs.clusters.registry import Providers
from labs.session import AttemptView
from labs.session.grader import Grader
from labs.settings import Settings, load
from tests.doubles.providers import ManualClock, MemoryProvider, ScriptedGrader

LAB_YAML = """\
title: A first lab
goal: Do one thing.
level: beginner
minutes: 20
points: 10
needs: {nodes: 1}
limit: 60
parameters:
  app: {choice: [aurora, borealis]}
  replicas: {integer: [2, 4]}
hints:
  first: ["Look at ${app}.", "Make ${replicas} of them."]
  second: ["Nearly there."]
"""
CHECKS = """\
from grader import check


@check(points=3, title="The first thing")
def test_first(cluster): ...


@check(points=7, title="The second thing")
def test_second(cluster): ...
"""
SETUP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${app}}\n"


def write_lab(catalog: Path, name: str, lab: str = LAB_YAML, checks: str = CHECKS) -> Path:
    """A lab's folder with everything a lab must have."""
    folder = catalog / name
    (folder / "setup").mkdir(parents=True, exist_ok=True)
    (folder / "lab.yaml").write_text(lab)
    (folder / "checks.py").write_text(checks)
    (folder / "instructions.md").write_text("# Do it\n\nMake ${replicas} of ${app}. It costs $$5, see $(date).\n")
    (folder / "setup" / "a.yaml").write_text(SETUP)
    return folder


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Hashes that cost little: what they cost where they protect somebody is argon2's business."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", lambda: hasher)
        yield


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A catalog with one lab, ``first``."""
    write_lab(tmp_path / "catalog", "first")
    return tmp_path / "catalog"


@pytest.fixture
def settings(tmp_path: Path, catalog: Path) -> Settings:
    """Settings with the providers ``memory`` (default) and ``other``."""
    import dataclasses

    base = load({"KINDLING_HOME": str(tmp_path / "home")})
    return dataclasses.replace(base, catalogs=(catalog,), provider="memory", providers=("memory", "other"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def provider(tmp_path: Path) -> MemoryProvider:
    return MemoryProvider(tmp_path / "clusters")


@pytest.fixture
def grader() -> ScriptedGrader:
    return ScriptedGrader()


Make = Callable[..., Kindling]


@pytest.fixture
def make(settings: Settings, clock: ManualClock, grader: ScriptedGrader, tmp_path: Path) -> Iterator[Make]:
    """Services over given doubles; the account ``ada`` is there."""
    made: list[Kindling] = []

    def build(provider: Provider, grading: Grader | None = None, other: Provider | None = None) -> Kindling:
        makers = {"memory": lambda _: provider, "other": lambda _: other or MemoryProvider(tmp_path / "other")}
        services = bootstrap(
            settings, grader=grading or grader, providers=Providers(settings, makers), now=clock, ticks=clock.ticks
        )
        services.accounts.ensure("ada")
        made.append(services)
        return services

    yield build
    for services in made:
        services.close()


def sleepless(services: Kindling) -> Kindling:
    """The same, in which nobody sleeps."""
    services.sessions.pause = lambda _: None
    services.sessions.__post_init__()
    return services


def checked(services: Kindling) -> AttemptView:
    """The lab ``first``, started and handed in by ada, graded to its end."""
    session = services.sessions.wait(services.sessions.start("ada", "first").id)
    return services.sessions.follow(services.sessions.check(session.id, "ada").id, "ada")


@pytest.fixture
def services(make: Make, provider: MemoryProvider) -> Kindling:
    """Services in which everything works."""
    return make(provider)
