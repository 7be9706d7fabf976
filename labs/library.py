"""The labs of every catalog: found, validated, and kept apart from those that cannot be loaded.

A catalog is a folder with a folder per lab. A lab that cannot be loaded never keeps another from loading; of two labs
with one name the first catalog's wins and the other is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labs.definition import Lab, load_lab
from labs.errors import Malformed, NotFound

_LEVELS = ("beginner", "intermediate", "advanced")


@dataclass(frozen=True)
class Problem:
    """A lab that cannot be loaded, and why."""

    lab: str
    file: str
    line: int
    expected: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.expected}"


class Library:
    """Labs by name. Files are read again when they have changed, so that authors see what they write."""

    def __init__(self, catalogs: Sequence[Path]) -> None:
        self.catalogs = list(catalogs)
        self._loaded: dict[Path, tuple[tuple[tuple[str, int, int], ...], Lab | Malformed]] = {}

    def all(self) -> list[Lab]:
        """Every lab that loads, in the order a learner meets them."""
        loaded = [lab for lab in map(self._load, self._folders().values()) if isinstance(lab, Lab)]
        return sorted(loaded, key=lambda lab: (lab.file.order, _LEVELS.index(lab.level), lab.minutes, lab.name))

    def get(self, name: str) -> Lab:
        """``NotFound`` with the names there are; ``Malformed`` when it is there but cannot be loaded."""
        folders = self._folders()
        if name not in folders:
            known = ", ".join(lab.name for lab in self.all()) or "none"
            raise NotFound(f"there is no lab {name!r}; there are: {known}", "kindling labs")
        lab = self._load(folders[name])
        if isinstance(lab, Malformed):
            raise lab
        return lab

    def problems(self) -> list[Problem]:
        """What could not be loaded, and labs hidden by another of the same name."""
        failed = [(folder, self._load(folder)) for folder in self._folders().values()]
        found = [
            Problem(folder.name, lab.file, lab.line, lab.expected)
            for folder, lab in failed
            if isinstance(lab, Malformed)
        ]
        first = self._folders()
        for catalog in self.catalogs:
            found += [
                Problem(folder.name, str(folder / "lab.yaml"), 1, f"this name is taken by {first[folder.name]}")
                for folder in _labs_in(catalog)
                if first[folder.name] != folder
            ]
        return found

    def folders(self) -> list[Path]:
        """The folder of every lab, whether it loads or not."""
        return list(self._folders().values())

    def _folders(self) -> dict[str, Path]:
        folders: dict[str, Path] = {}
        for catalog in self.catalogs:
            for folder in _labs_in(catalog):
                folders.setdefault(folder.name, folder)
        return folders

    def _load(self, folder: Path) -> Lab | Malformed:
        signature = _signature(folder)
        known = self._loaded.get(folder)
        if known is not None and known[0] == signature:
            return known[1]
        try:
            lab: Lab | Malformed = load_lab(folder)
        except Malformed as problem:
            lab = problem
        self._loaded[folder] = (signature, lab)
        return lab


def _labs_in(catalog: Path) -> list[Path]:
    if not catalog.is_dir():
        return []
    return sorted(path.parent for path in catalog.glob("*/lab.yaml"))


def _signature(folder: Path) -> tuple[tuple[str, int, int], ...]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    stats = [(str(path), path.stat()) for path in files]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)
