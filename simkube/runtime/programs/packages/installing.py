"""Putting packages into a container and taking them away again.

Nothing is ever fetched. What is installed is kept in the container's own files, where the real package managers keep
it, and is gone with the container.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from simkube.runtime.cri import NetworkError
from simkube.runtime.files import FileSystem
from simkube.runtime.nodes import File, FileError
from simkube.runtime.packages import Package
from simkube.runtime.process import Process


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
