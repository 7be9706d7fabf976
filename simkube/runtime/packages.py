"""What package managers can install: packages by name, from ``simkube/behaviours/packages``, one file a distribution.

A package is a list of paths and of the simulated programs at them. Images are made of packages too.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from simkube.runtime import catalogue


@dataclass(frozen=True, slots=True)
class Package:
    """A package: its version, what it needs, its size in KiB, and the programs that it puts where."""

    name: str
    version: str
    needs: tuple[str, ...] = ()
    size: int = 200
    programs: Mapping[str, str] = field(default_factory=dict)


@functools.cache
def packages_of(distribution: str) -> dict[str, Package]:
    """The index of ``debian``, ``alpine`` or ``fedora``."""
    found = {}
    for name, said in catalogue.read("packages")[distribution][0].items():
        programs = {**said.get("programs", {}), **{path: path.rpartition("/")[2] for path in said.get("tools", ())}}
        found[name] = Package(name, str(said["version"]), tuple(said.get("needs", ())), said.get("size", 200), programs)
    return found


def wanted(distribution: str, names: Iterable[str], installed: Collection[str] = ()) -> list[Package]:
    """The packages of these names with what they need and is not there, what is needed first; KeyError (the name)."""
    index = packages_of(distribution)
    found: dict[str, Package] = {}

    def add(name: str) -> None:
        if name in found or name in installed:
            return
        package = index[name]
        for needed in package.needs:
            add(needed)
        found[name] = package

    for name in names:
        add(name)
    return list(found.values())
