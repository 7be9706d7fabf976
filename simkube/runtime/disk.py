"""The file system of a node, of which ``hostPath`` and ``local`` volumes are directories.

One tree a node, shared by all its pods, so that what one wrote the next one finds. It begins as
:mod:`~simkube.runtime.node_files` says, is copied where somebody writes, and is laid out when somebody first looks.
What is live in it is mounted into whatever container mounts that part of it. ``changed`` is called after each write, so
that its keeper can store it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from simkube.runtime import node_files
from simkube.runtime.files import FileSystem, MountPoint, normal
from simkube.runtime.nodes import Device, Directory, File, FileError, Quota, tree_size
from simkube.runtime.procfs import host_mounts
from simkube.runtime.volume import VOLUME_BYTES, MemoryVolume, dump_tree, private_size, restore_tree

if TYPE_CHECKING:
    from simkube.runtime.container import SimContainer
    from simkube.runtime.machine import Machine

_KERNEL = ("/proc", "/sys", "/dev")
_OF_KERNEL = {
    **dict.fromkeys(("/sys/fs", "/sys/fs/cgroup"), "directory"),
    **dict.fromkeys(("/proc/cpuinfo", "/proc/loadavg", "/proc/meminfo", "/proc/mounts", "/proc/uptime"), "file"),
    **dict.fromkeys(("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"), "char"),
}
"""What may be mounted of the kernel's files, beside the whole of each."""
_KINDS = {"socket": "socket", "block": "block", "text": "file"}


class _Watched(Quota):
    """A quota that tells of each change."""

    __slots__ = ("changed",)

    def __init__(self, limit: int, parent: Quota | None) -> None:
        super().__init__(limit, parent)
        self.changed: Callable[[], None] = lambda: None

    def charge(self, size: int) -> None:
        super().charge(size)
        self.changed()


class Disk(MemoryVolume):
    """See the module. It outlives the sandboxes that mount parts of it; without a ``machine`` it begins empty."""

    lasting = True

    def __init__(self, now: Callable[[], float], parent: Quota | None = None, machine: Machine | None = None) -> None:
        super().__init__(now, parent=parent)
        self._now = now
        self.root.mode = 0o755
        self._machine = machine
        self._base: Directory | None = None
        self._quota = _Watched(VOLUME_BYTES, parent)
        self.quota = self._quota
        self._tree.mounts["/"].quota = self._quota

    @property
    def _files(self) -> FileSystem:
        if self._machine is not None and self._base is None:
            self._base = node_files.tree(self._machine.files())
            self.root.entries = dict(self._base.entries)
            self._tree.mounts |= node_files.live(self._machine, self._base)
        return self._tree

    @_files.setter
    def _files(self, value: FileSystem) -> None:
        self._tree = value

    def on_change(self, changed: Callable[[], None]) -> None:
        """Have ``changed`` called after each write from now on."""
        self._quota.changed = changed

    def make(self, path: str, mode: int = 0o755) -> None:
        """A directory and those above it; one that is there keeps its mode."""
        clean = normal(path)
        if _in_kernel(clean):
            raise FileError(errno.ENOENT, path)
        self._files.make_directories(clean.rpartition("/")[0] or "/")
        if clean != "/" and not self._files.exists(clean):
            self._files.make_directory(clean, mode)

    def touch(self, path: str) -> None:
        """An empty file, where there is nothing; FileError when there is no directory for it."""
        if not self._files.exists(normal(path)):
            self._files.write(normal(path), b"")

    def kind(self, path: str) -> str:
        """``directory``, ``file``, ``socket``, ``char``, ``block``, ``other``, or "" for nothing."""
        clean = normal(path)
        if _in_kernel(clean):
            return _OF_KERNEL.get(clean, "")
        node = self.node(path)
        if node is None:
            return ""
        if isinstance(node, Device):
            return _KINDS.get(node.kind, "char")
        return "directory" if isinstance(node, Directory) else "file" if isinstance(node, File) else "other"

    def mount_point(self, *, read_only: bool, sub_path: str = "") -> MountPoint:
        """A part of it as something to mount; it belongs to the disk alone from then on, not to what it began as."""
        if _in_kernel(normal(sub_path)):  # mounted over by what is live there
            return MountPoint(Directory(), Quota(0), read_only=True)
        try:
            place = self._files.find(normal(sub_path), write=True)
        except FileError:
            return super().mount_point(read_only=read_only, sub_path=sub_path)
        root = place.node if place.node is not None else self.directory(sub_path)
        return MountPoint(root, place.mount.quota, read_only or place.mount.read_only)

    def mounts_below(self, sub_path: str, viewer: SimContainer) -> dict[str, MountPoint]:
        """What is live there, by path from there, as ``viewer`` sees it: "" for that part itself."""
        if self._machine is None:
            return {}
        clean = normal(sub_path)
        top = clean if _in_kernel(clean) else self._files.find(clean).path.rstrip("/")
        points = {**self._files.mounts, **host_mounts(viewer)}
        del points["/"]
        found = {path.removeprefix(top): point for path, point in points.items() if f"{path}/".startswith(f"{top}/")}
        if _in_kernel(clean):
            kernel = FileSystem(Directory(), Quota(0), self._now)
            kernel.mounts |= points
            found[""] = MountPoint(kernel.node(clean), Quota(0), read_only=not clean.startswith("/dev/"))
        return found

    def dump(self) -> dict[str, Any]:
        """The content as JSON."""
        kept = {"tree": dump_tree(self.root, whole=True, base=self._base)}
        return kept if self._base is None else {**kept, "based": True}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`dump` gave."""
        _ = self._files  # lay it out
        tree = state["tree"] if state.get("based") or self._base is None else _based(state["tree"], self._base)
        self.root.entries = restore_tree(tree, self._base)
        size = tree_size(self.root) if self._base is None else private_size(self.root)
        self._quota.charge(size - self._quota.used)


def _in_kernel(path: str) -> bool:
    """Whether a path leads to a part of /proc and the like."""
    return path.startswith(tuple(f"{one}/" for one in _KERNEL))


def _based(tree: Mapping[str, Any], base: Directory) -> dict[str, Any]:
    """A tree that was stored when nodes began empty, above what they begin with now."""
    found = {**tree, "": [name for name in base.entries if name not in tree]}
    for name, entry in tree.items():
        below = base.entries.get(name)
        if name and "dir" in entry and isinstance(below, Directory):
            found[name] = {**entry, "dir": _based(entry["dir"], below)}
    return found
