"""The labs of every catalog: found, validated, and kept apart from those that cannot be loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labs.clusters.provider import Needs


@dataclass(frozen=True)
class Lab:
    """A validated lab. ``name`` is its folder's; ``version`` a hash of everything a verdict depends on."""

    name: str
    folder: Path
    title: str
    goal: str
    level: str
    minutes: int
    points: float
    namespace: str
    needs: Needs
    images: tuple[str, ...]
    limit: float
    thresholds: dict[str, Any]
    hints: dict[str, list[str]]
    version: str

    def parameters_for(self, seed: str) -> dict[str, Any]:
        """This lab's parameters for a seed (one per learner)."""
        raise NotImplementedError

    def instructions(self, parameters: dict[str, Any]) -> str:
        """Markdown, parameters filled in."""
        raise NotImplementedError


@dataclass(frozen=True)
class Problem:
    """A lab that cannot be loaded, and why."""

    lab: str
    file: str
    line: int
    expected: str


class Library:
    """Labs by name, in the catalogs' order (a ``catalog.yaml`` in a catalog's folder may list it: ``labs: [pods, ...]``)."""

    def all(self) -> list[Lab]:
        """Every lab that loads."""
        raise NotImplementedError

    def get(self, name: str) -> Lab:
        """``NotFound`` with the names there are; ``Malformed`` when it is there but cannot be loaded."""
        raise NotImplementedError

    def problems(self) -> list[Problem]:
        """What could not be loaded."""
        raise NotImplementedError
