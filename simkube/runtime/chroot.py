"""A container as a process sees it that was given another root: the same processes, network and limits, other files.

``chroot(2)``: the tree below a directory, with what is mounted there, becomes the whole tree of the process and of its
children. There is no way out of it here.
"""

from __future__ import annotations

import errno
from typing import Any

from simkube.runtime.container import SimContainer
from simkube.runtime.files import FileSystem, MountPoint
from simkube.runtime.nodes import Directory, FileError


class Rooted(SimContainer):
    """What a container does, done with other ``files``; all else that it has is the container's own."""

    def __init__(self, container: SimContainer, files: FileSystem) -> None:
        object.__setattr__(self, "_real", container)
        object.__setattr__(self, "files", files)

    def __getattribute__(self, name: str) -> Any:
        if name in ("_real", "files") or hasattr(SimContainer, name):
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "_real"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)


def rooted(container: SimContainer, path: str) -> Rooted:
    """The container with the directory at ``path`` (absolute) as its root; FileError ENOENT, ENOTDIR."""
    place = container.files.find(path)
    if place.node is None:
        raise FileError(errno.ENOENT, path)
    if not isinstance(place.node, Directory):
        raise FileError(errno.ENOTDIR, path)
    mount = place.mount
    files = FileSystem(place.node, mount.quota, lambda: container.clock.now())
    files.mounts["/"] = MountPoint(place.node, mount.quota, mount.read_only, mount.source, mount.kind)
    top = place.path.rstrip("/")
    for where, point in container.files.mounts.items():
        if where.startswith(f"{top}/") and where != "/":
            files.mounts[where.removeprefix(top)] = point
    return Rooted(container, files)
