"""Volumes: directory trees of a pod, shared by its containers and surviving their restarts.

``label`` is the kubelet's own note of what the volume is (kept by :meth:`dump`). A volume is bounded by its quota; what
an ``in_memory`` one (tmpfs) holds counts as memory of the containers that mount it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from simkube.runtime.files import FileSystem, MountPoint, normal
from simkube.runtime.nodes import NODE_COST, Directory, File, FileError, Node, Quota, Symlink, tree_size
from simkube.runtime.projection import Files, project

if TYPE_CHECKING:
    from simkube.runtime.container import SimContainer

VOLUME_BYTES = 8 * 1024 * 1024


class MemoryVolume:
    """Keeps :class:`~simkube.runtime.cri.Volume`. Paths are relative to the volume's root.

    One that is ``lasting`` belongs to the node and not to a pod.
    """

    lasting = False

    def __init__(
        self,
        now: Callable[[], float],
        label: str = "",
        parent: Quota | None = None,
        *,
        in_memory: bool = False,
        limit: int | None = None,
    ) -> None:
        self.label = label
        self.in_memory = in_memory
        self.root = Directory(0o777, now())
        self.quota = Quota(VOLUME_BYTES if limit is None else min(limit, VOLUME_BYTES), parent)
        self._files = FileSystem(self.root, self.quota, now)
        self._now = now

    def write(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Create or replace a file and the directories above it. FileError ENOSPC."""
        clean = normal(path)
        parent = clean.rpartition("/")[0]
        if parent:
            self._files.make_directories(parent)
        self._files.write(clean, content, mode=mode)

    def project(self, files: Files) -> None:
        """Hold these files alone, all of them from one moment to the next. FileError ENOSPC."""
        project(self.root, self.quota, files, self._now())

    def read(self, path: str) -> bytes:
        """A file's content; FileError ENOENT."""
        return self._files.read(normal(path))

    def remove(self, path: str) -> None:
        """Remove a file or a directory with all it holds; nothing there is no error."""
        clean = normal(path)
        try:
            found = [where for where, _ in self._files.walk(clean)]
            for where in reversed(found):
                directory = isinstance(self._files.node(where, follow=False), Directory)
                self._files.remove(where, directory=directory)
        except FileError:
            return

    def paths(self) -> list[str]:
        """The relative paths of all files."""
        return [path.lstrip("/") for path, node in self._files.walk("/") if not isinstance(node, Directory)]

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return self.quota.used

    def on_write(self, call: Callable[[], None]) -> None:
        """Call ``call`` after each write."""
        self.quota.grown = call

    def follow(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call ``call`` too after each write, until the returned call is made."""
        before = self.quota.grown

        def told() -> None:
            if before is not None:
                before()
            call()

        def end() -> None:
            if self.quota.grown is told:
                self.quota.grown = before

        self.quota.grown = told
        return end

    def directory(self, sub_path: str) -> Directory:
        """The directory at ``sub_path``, made when missing."""
        clean = normal(sub_path)
        if clean == "/":
            return self.root
        self._files.make_directories(clean)
        node = self._files.node(clean)
        assert isinstance(node, Directory)
        return node

    def node(self, sub_path: str) -> Node | None:
        """What is at ``sub_path``; None for nothing."""
        try:
            return self._files.find(normal(sub_path)).node
        except FileError:
            return None

    def mount_point(self, *, read_only: bool, sub_path: str = "") -> MountPoint:
        """This volume as something to mount."""
        node = self.node(sub_path)
        root = node if node is not None else self.directory(sub_path)
        if self.in_memory:
            return MountPoint(root, self.quota, read_only, "tmpfs", "tmpfs")
        return MountPoint(root, self.quota, read_only)

    def mounts_below(self, sub_path: str, viewer: SimContainer) -> dict[str, MountPoint]:
        """What else is mounted in that part of it, by path from there (``/proc``), as ``viewer`` sees it."""
        return {}

    def give(self, group: int, *, read_only: bool) -> None:
        """Everything in it, and what is made in it from now on, belongs to a group that may read it, or change it."""
        bits = 0o440 if read_only else 0o660
        for _, node in self._files.walk("/"):
            node.gid = group
            node.mode |= bits | 0o2110 if isinstance(node, Directory) else bits

    def dump(self) -> dict[str, Any]:
        """Label and content as JSON."""
        kept: dict[str, Any] = {"label": self.label, "tree": dump_tree(self.root, whole=True)}
        if self.root.gid:
            kept["root"] = [self.root.mode, self.root.gid]
        return {**kept, "in_memory": True, "limit": self.quota.limit} if self.in_memory else kept

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`dump` gave."""
        self.label = str(state["label"])
        self.root.mode, self.root.gid = state.get("root", (self.root.mode, 0))
        self.root.entries = restore_tree(state["tree"], None)
        self.quota.charge(tree_size(self.root) - self.quota.used)


def private_size(directory: Directory) -> int:
    """The quota that what is private in a tree takes."""
    size = 0
    for node in directory.entries.values():
        if not node.shared:
            size += NODE_COST + private_size(node) if isinstance(node, Directory) else tree_size(node)
    return size


def dump_tree(directory: Directory, *, whole: bool = False, base: Directory | None = None) -> dict[str, Any]:
    """A directory as JSON: what is private in full, of what it shares with an image the names alone.

    The ``whole`` of it where there is no image below, or another ``base``: what was moved there from an image belongs
    there now, and only what it shares with the base is left to that.
    """
    below = base.entries if base is not None else {}

    def left(name: str, node: Node) -> bool:
        return node.shared and (not whole or below.get(name) is node)

    found: dict[str, Any] = {"": [name for name, node in directory.entries.items() if left(name, node)]}
    for name, node in directory.entries.items():
        if left(name, node):
            continue
        if isinstance(node, Directory):
            under = below.get(name)
            inner = dump_tree(node, whole=whole, base=under if isinstance(under, Directory) else None)
            found[name] = {"mode": node.mode, "dir": inner, **_owned(node)}
        elif isinstance(node, File):
            content = base64.b64encode(node.data).decode()
            found[name] = {"mode": node.mode, "mtime": node.mtime, "data": content, "program": node.program}
            found[name] |= _owned(node)
        elif isinstance(node, Symlink):
            found[name] = {"link": node.target}
    return found


def _owned(node: Node) -> dict[str, list[int]]:
    return {"owner": [node.uid, node.gid]} if node.uid or node.gid else {}


def restore_tree(state: Mapping[str, Any], image: Directory | None) -> dict[str, Node]:
    """Nodes of what :func:`dump_tree` gave; what was shared comes from ``image``."""
    below = image.entries if image is not None else {}
    found: dict[str, Node] = {name: below[name] for name in state.get("", ()) if name in below}
    for name, entry in state.items():
        if name == "":
            continue
        if "dir" in entry:
            directory = Directory(entry["mode"])
            under = below.get(name)
            directory.entries = restore_tree(entry["dir"], under if isinstance(under, Directory) else None)
            found[name] = directory
        elif "link" in entry:
            found[name] = Symlink(entry["link"])
        else:
            data = base64.b64decode(entry["data"])
            found[name] = File(data, entry["mode"], entry["mtime"], entry["program"])
        found[name].uid, found[name].gid = entry.get("owner", (0, 0))
    return found
