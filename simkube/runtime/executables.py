"""From a command's name to the program it starts, as execve(2) and a PATH search do it.

A file of an image that stands for a simulated program carries that program's name; a text file with ``#!`` starts its
interpreter. Anything else that is marked executable is refused as an exec format error: no machine code is ever run.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence

from simkube.runtime.files import FileSystem, join
from simkube.runtime.nodes import File, FileError
from simkube.runtime.process import Program

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAX_INTERPRETERS = 4


def which(files: FileSystem, name: str, env: Mapping[str, str], cwd: str = "/") -> str:
    """The path that ``name`` starts; FileError ENOENT, EACCES, EISDIR."""
    if not name:
        raise FileError(errno.ENOENT, name)
    if "/" in name:
        path = join(cwd, name)
        _check(files, path)
        return path
    denied: FileError | None = None
    for directory in env.get("PATH", DEFAULT_PATH).split(":")[:64]:
        path = join(cwd, f"{directory or '.'}/{name}")
        try:
            _check(files, path)
        except FileError as error:
            if error.number == errno.EACCES:
                denied = error
            continue
        return path
    raise denied or FileError(errno.ENOENT, name)


def _check(files: FileSystem, path: str) -> None:
    node = files.node(path)
    if not isinstance(node, File) or not node.mode & 0o111:
        raise FileError(errno.EACCES, path)


def load(
    files: FileSystem, path: str, argv: Sequence[str], env: Mapping[str, str], programs: Mapping[str, Program]
) -> tuple[Program, list[str]]:
    """The program behind an executable file and the arguments it gets; FileError ENOENT, ENOEXEC.

    ``programs`` are all that are simulated, by the names that files of images give them.
    """
    arguments = list(argv)
    for _ in range(MAX_INTERPRETERS):
        node = files.node(path)
        if not isinstance(node, File):
            raise FileError(errno.EACCES, path)
        if node.program:
            return programs[node.program], arguments
        if not node.data.startswith(b"#!"):
            raise FileError(errno.ENOEXEC, path)
        first = bytes(node.data[2:256]).split(b"\n", 1)[0].decode("utf-8", "replace").split(None, 1)
        if not first:
            raise FileError(errno.ENOEXEC, path)
        arguments = [first[0], *(part.strip() for part in first[1:]), path, *arguments[1:]]
        path = which(files, first[0], env)
    raise FileError(errno.ELOOP, path)
