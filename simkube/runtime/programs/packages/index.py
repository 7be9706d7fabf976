"""What can be installed: packages by name, read from ``simkube/behaviours/packages``, one file a distribution.

Nothing is ever fetched: a package is a list of paths and of the simulated programs at them. What is installed is kept
in the container's own files, where the real package managers keep it, and is gone with the container.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from simkube.runtime import catalogue
from simkube.runtime.cri import NetworkError
from simkube.runtime.files import FileSystem
from simkube.runtime.nodes import File, FileError
from simkube.runtime.process import Process


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


def wanted(index: Mapping[str, Package], names: Iterable[str], installed: set[str]) -> list[Package]:
    """The packages of these names with what they need and is not there, what is needed first; KeyError (the name)."""
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


def unpack(process: Process, package: Package) -> None:
    """Put a package's programs where they belong; FileError."""
    files = process.container.files
    for path, program in package.programs.items():
        folder = path.rpartition("/")[0]
        if not files.is_directory(folder):
            files.make_directories(folder)
        process.check_writable(path)
        files.write(path, b"\x7fELF", mode=0o755)
        node = files.node(path)
        if isinstance(node, File):
            node.program = program


def remove(process: Process, package: Package) -> None:
    """Take a package's programs away."""
    for path in package.programs:
        if process.container.files.exists(path):
            process.container.files.remove(path)


class Database:
    """Which packages a container has: a text file of it with one name and version a line."""

    def __init__(self, files: FileSystem, path: str) -> None:
        self._files = files
        self._path = path

    def read(self) -> dict[str, str]:
        """Versions by name."""
        try:
            text = self._files.read(self._path).decode("utf-8", "replace")
        except FileError:
            return {}
        return dict(_entries(text))

    def write(self, installed: Mapping[str, str]) -> None:
        """Keep this; FileError."""
        folder = self._path.rpartition("/")[0]
        if not self._files.is_directory(folder):
            self._files.make_directories(folder)
        text = "".join(f"Package: {name}\nVersion: {version}\n\n" for name, version in sorted(installed.items()))
        self._files.write(self._path, text.encode())


def _entries(text: str) -> Iterator[tuple[str, str]]:
    name = ""
    for line in text.splitlines():
        key, _, value = line.partition(": ")
        if key == "Package":
            name = value
        elif key == "Version" and name:
            yield name, value


async def no_way(process: Process) -> str:
    """Why a mirror outside the cluster could not be reached from here: ``name``, ``timeout``, or "" when it could.

    There is none, of course; but a pod whose policies keep it from names or from the world must not install anything.
    """
    sandbox = process.container.sandbox
    try:
        await sandbox.network.name_server(sandbox.ip, "", sandbox.config)
    except NetworkError as error:
        if "Temporary" in str(error):
            return "name"
    return "" if sandbox.network.leaves(sandbox.ip, 443) else "timeout"
