"""Users and groups of a container: names by its /etc/passwd and /etc/group, and the groups its processes have.

A user without an entry in /etc/passwd has the primary group 0, as containerd decides it.
"""

from __future__ import annotations

from simkube.runtime.cri import ContainerConfig
from simkube.runtime.files import FileSystem
from simkube.runtime.nodes import FileError

_MOST_LINES = 200


def user_name(files: FileSystem, uid: int) -> str:
    """The name of a user, or the number."""
    return _name(files, "/etc/passwd", uid)


def group_name(files: FileSystem, gid: int) -> str:
    """The name of a group, or the number."""
    return _name(files, "/etc/group", gid)


def primary_group(files: FileSystem, config: ContainerConfig, uid: int) -> int:
    """``run_as_group``, else the group of the user's entry in /etc/passwd, else 0."""
    if config.run_as_group is not None:
        return config.run_as_group
    for fields in _entries(files, "/etc/passwd"):
        if fields[2] == str(uid) and len(fields) > 3 and fields[3].isdecimal() and len(fields[3]) < 11:
            return int(fields[3])
    return 0


def number_of(files: FileSystem, path: str, name: str) -> int | None:
    """The number of a user or group by name (or the number itself); None for none."""
    if name.isdecimal() and len(name) < 11:
        return int(name)
    found = (fields[2] for fields in _entries(files, path) if fields[0] == name and fields[2].isdecimal())
    return next((int(number) for number in found), None)


def _name(files: FileSystem, path: str, number: int) -> str:
    return next((fields[0] for fields in _entries(files, path) if fields[2] == str(number)), str(number))


def _entries(files: FileSystem, path: str) -> list[list[str]]:
    try:
        text = files.read(path).decode("utf-8", "replace")
    except FileError:
        return []
    return [fields for line in text.splitlines()[:_MOST_LINES] if len(fields := line.split(":")) > 2]
