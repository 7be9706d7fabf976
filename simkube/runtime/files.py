"""In-memory file systems: image trees shared by all containers, copied where one writes, and volumes mounted in.

A path is resolved against a tree of :class:`Directory`, :class:`File`, :class:`Symlink` and :class:`Device` nodes.
Nodes of an image are *shared*; the first write copies the directories on the way, never the whole image. Every tree
has a :class:`Quota`. Nothing here ever opens a file of the host. Hard links, extended attributes, and ownership
beyond uid and gid are not simulated.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simkube.runtime.nodes import (
    NODE_COST,
    Device,
    Directory,
    File,
    FileError,
    Node,
    Quota,
    Symlink,
    private_copy,
    tree_size,
)

MAX_LINKS = 40
MAX_NAME = 255
MAX_PATH = 4096


@dataclass(slots=True)
class MountPoint:
    """A tree (or one file) at an absolute path; ``source`` and ``kind`` are what ``mount`` and ``df`` print."""

    root: Node
    quota: Quota
    read_only: bool = False
    source: str = "/dev/vda1"
    kind: str = "ext4"


@dataclass(slots=True)
class Place:
    """Where a path led: the directory, the last name in it, the node (None: nothing there) and the mount it is on."""

    parent: Directory
    name: str
    node: Node | None
    path: str
    mount: MountPoint


class FileSystem:
    """The tree that the processes of one container see."""

    def __init__(self, root: Directory, quota: Quota, now: Callable[[], float]) -> None:
        self.mounts: dict[str, MountPoint] = {"/": MountPoint(root, quota, source="overlay", kind="overlay")}
        self._now = now

    def mount(self, path: str, point: MountPoint) -> None:
        """Mount a tree; the mount point is made when missing."""
        clean = normal(path)
        if not self.exists(clean):
            if isinstance(point.root, Directory):
                self.make_directories(clean)
            else:
                self.make_directories(clean.rpartition("/")[0])
                self.write(clean, b"")
        self.mounts[self.find(clean).path] = point

    # -- looking up ------------------------------------------------------------------------------------------------

    def find(self, path: str, *, follow: bool = True, write: bool = False) -> Place:
        """Resolve an absolute path; FileError for a missing or wrong directory on the way, never for the last name.

        With ``write`` every shared directory on the way and the node itself become private copies.
        """
        if len(path) > MAX_PATH:
            raise FileError(errno.ENAMETOOLONG, path)
        pending = [part for part in path.split("/") if part and part != "."]
        pending.reverse()
        trail: list[tuple[str, Directory, MountPoint]] = []
        mount = self.mounts["/"]
        here = self._top(write)
        place = Place(here, "", here, "/", mount)
        links = 0
        while pending:
            name = pending.pop()
            if name == "..":
                place, here, mount = self._up(trail)
                continue
            place, here_or_node = self._enter(here, name, trail, mount, write)
            mount = place.mount
            node = here_or_node
            if isinstance(node, Symlink) and (pending or follow):
                links += 1
                if links > MAX_LINKS:
                    raise FileError(errno.ELOOP, path)
                pending.extend(part for part in reversed(node.target.split("/")) if part and part != ".")
                if node.target.startswith("/"):
                    trail.clear()
                    mount = self.mounts["/"]
                    here = self._top(write)
                    place = Place(here, "", here, "/", mount)
                else:
                    mount = trail[-1][2] if trail else self.mounts["/"]
                continue
            if isinstance(node, Directory):
                trail.append((name, node, mount))
                here = node
            elif pending:
                raise FileError(errno.ENOENT if node is None else errno.ENOTDIR, path)
        if place.node is not None and place.node.shared and write:
            self._unshare(place)
        return place

    @staticmethod
    def _root(mount: MountPoint, write: bool) -> Node:
        if write and mount.root.shared:
            mount.root = private_copy(mount.root)
        return mount.root

    def _top(self, write: bool = False) -> Directory:
        top = self._root(self.mounts["/"], write)
        assert isinstance(top, Directory)
        return top

    def _up(self, trail: list[tuple[str, Directory, MountPoint]]) -> tuple[Place, Directory, MountPoint]:
        if trail:
            trail.pop()
        path = "/" + "/".join(name for name, _, _ in trail)
        if trail:
            name, node, mount = trail[-1]
            parent = trail[-2][1] if len(trail) > 1 else self._top()
            return Place(parent, name, node, path, mount), node, mount
        top = self._top()
        root = self.mounts["/"]
        return Place(top, "", top, "/", root), top, root

    def _enter(
        self, here: Directory, name: str, trail: list[tuple[str, Directory, MountPoint]], mount: MountPoint, write: bool
    ) -> tuple[Place, Node | None]:
        if len(name) > MAX_NAME:
            raise FileError(errno.ENAMETOOLONG, name)
        path = "/" + "/".join([*(step for step, _, _ in trail), name])
        node = here.entries.get(name)
        if path in self.mounts:
            mount = self.mounts[path]
            node = self._root(mount, write)
            return Place(here, name, node, path, mount), node
        place = Place(here, name, node, path, mount)
        if write and isinstance(node, Directory) and node.shared:
            self._unshare(place)
            node = place.node
        return place, node

    @staticmethod
    def _unshare(place: Place) -> None:
        assert place.node is not None
        place.node = private_copy(place.node)
        if isinstance(place.node, File):
            place.mount.quota.charge(len(place.node.data))
        place.parent.entries[place.name] = place.node

    def node(self, path: str, *, follow: bool = True) -> Node:
        """The node at a path; FileError ENOENT."""
        node = self.find(path, follow=follow).node
        if node is None:
            raise FileError(errno.ENOENT, path)
        return node

    def exists(self, path: str) -> bool:
        """Whether a path leads to something."""
        try:
            return self.find(path).node is not None
        except FileError:
            return False

    def is_directory(self, path: str) -> bool:
        """Whether a path leads to a directory."""
        try:
            return isinstance(self.find(path).node, Directory)
        except FileError:
            return False

    def entries(self, path: str) -> dict[str, Node]:
        """What a directory holds, mounts included, sorted by name; FileError ENOENT, ENOTDIR."""
        place = self.find(path)
        if place.node is None:
            raise FileError(errno.ENOENT, path)
        if not isinstance(place.node, Directory):
            raise FileError(errno.ENOTDIR, path)
        found = dict(place.node.entries)
        prefix = place.path.rstrip("/") + "/"
        for where, mount in self.mounts.items():
            if where.startswith(prefix) and "/" not in where[len(prefix) :] and where != "/":
                found[where[len(prefix) :]] = mount.root
        return dict(sorted(found.items()))

    def walk(self, path: str) -> Iterator[tuple[str, Node]]:
        """Every path below and including ``path``, parents first, symlinks not followed."""
        stack = [path]
        while stack:
            current = stack.pop()
            node = self.node(current, follow=False)
            yield current, node
            if isinstance(node, Directory):
                base = current.rstrip("/")
                stack.extend(f"{base}/{name}" for name in reversed(self.entries(current)))

    # -- reading and writing ---------------------------------------------------------------------------------------

    def read(self, path: str) -> bytes:
        """The content of a file."""
        node = self.node(path)
        if isinstance(node, Directory):
            raise FileError(errno.EISDIR, path)
        if isinstance(node, Device):
            return node.read() if node.read is not None else b""
        assert isinstance(node, File)
        return bytes(node.data)

    def open_file(self, path: str, *, create: bool, truncate: bool, mode: int = 0o644) -> tuple[Node, Quota]:
        """The node of a file to be written; created and emptied as asked. FileError EISDIR, EROFS, ENOENT, ENOSPC."""
        if not path.strip("/"):
            raise FileError(errno.EISDIR, path)
        seen = self.find(path)
        if isinstance(seen.node, Device):
            return seen.node, seen.mount.quota
        if isinstance(seen.node, Directory) or path.endswith("/"):
            raise FileError(errno.EISDIR, path)
        if seen.mount.read_only:
            raise FileError(errno.EROFS, path)
        if seen.node is None and not create:
            raise FileError(errno.ENOENT, path)
        place = self.find(path, write=True)
        node = place.node
        if node is None:
            place.mount.quota.charge(NODE_COST)
            node = place.parent.entries[place.name] = File(b"", mode, self._now())
        assert isinstance(node, File)
        if truncate and node.data:
            place.mount.quota.charge(-len(node.data))
            node.data = bytearray()
            node.mtime = self._now()
        return node, place.mount.quota

    def write(self, path: str, data: bytes, *, append: bool = False, mode: int = 0o644) -> None:
        """Write a whole file."""
        node, quota = self.open_file(path, create=True, truncate=not append, mode=mode)
        if isinstance(node, File):
            quota.charge(len(data))
            node.data += data
            node.mtime = self._now()

    def _place_for_new(self, path: str) -> Place:
        seen = self.find(path.rstrip("/") or "/", follow=False)
        if seen.node is not None:
            raise FileError(errno.EEXIST, path)
        if seen.mount.read_only:
            raise FileError(errno.EROFS, path)
        return self.find(path.rstrip("/"), follow=False, write=True)

    def make_directory(self, path: str, mode: int = 0o755) -> None:
        """One new directory; FileError EEXIST, ENOENT."""
        place = self._place_for_new(path)
        place.mount.quota.charge(NODE_COST)
        place.parent.entries[place.name] = Directory(mode, self._now())

    def make_directories(self, path: str, mode: int = 0o755) -> None:
        """A directory and those above it, as ``mkdir -p``."""
        parts = [part for part in path.split("/") if part]
        for end in range(1, len(parts) + 1):
            part = "/" + "/".join(parts[:end])
            if not self.is_directory(part):
                self.make_directory(part, mode)

    def make_link(self, target: str, path: str) -> None:
        """A symbolic link at ``path``; FileError EEXIST."""
        place = self._place_for_new(path)
        place.mount.quota.charge(NODE_COST)
        place.parent.entries[place.name] = Symlink(target, self._now())

    def put(self, path: str, node: Node) -> None:
        """Set a node at a path (moves and copies); what was there is replaced, but not a directory that has entries."""
        place = self.find(path, follow=False, write=True)
        if place.mount.read_only:
            raise FileError(errno.EROFS, path)
        if place.path in self.mounts:
            raise FileError(errno.EBUSY, path)
        if isinstance(place.node, Directory) and place.node.entries:
            raise FileError(errno.ENOTEMPTY, path)
        place.mount.quota.charge(tree_size(node) - (tree_size(place.node) if place.node is not None else 0))
        place.parent.entries[place.name] = node

    def remove(self, path: str, *, directory: bool = False) -> None:
        """Remove a file, link, or (``directory``) an empty directory; FileError ENOENT, EISDIR, ENOTEMPTY, EBUSY,
        EROFS.
        """
        seen = self.find(path.rstrip("/") or "/", follow=False)
        if seen.node is None:
            raise FileError(errno.ENOENT, path)
        if seen.path in self.mounts or seen.path == "/":
            raise FileError(errno.EBUSY, path)
        if isinstance(seen.node, Directory) and not directory:
            raise FileError(errno.EISDIR, path)
        if directory and not isinstance(seen.node, Directory):
            raise FileError(errno.ENOTDIR, path)
        if directory and self.entries(path):
            raise FileError(errno.ENOTEMPTY, path)
        if seen.mount.read_only:
            raise FileError(errno.EROFS, path)
        shared = seen.node.shared
        place = self.find(path.rstrip("/"), follow=False, write=True)
        assert place.node is not None
        del place.parent.entries[place.name]
        gone = tree_size(place.node)
        place.mount.quota.charge(-(gone - NODE_COST if shared else gone))  # an image's entry cost nothing

    def change(
        self,
        path: str,
        *,
        mode: int | None = None,
        mtime: float | None = None,
        uid: int | None = None,
        gid: int | None = None,
    ) -> None:
        """Set mode, time of modification, owner or group."""
        if self.find(path).mount.read_only:
            raise FileError(errno.EROFS, path)
        place = self.find(path, write=True)
        if place.node is None:
            raise FileError(errno.ENOENT, path)
        if mode is not None:
            place.node.mode = mode
        if mtime is not None:
            place.node.mtime = mtime
        if uid is not None:
            place.node.uid = uid
        if gid is not None:
            place.node.gid = gid
        place.mount.quota.version += 1


def normal(path: str) -> str:
    """An absolute path without ``.``, ``..`` and double slashes, by text alone."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part and part != ".":
            parts.append(part)
    return "/" + "/".join(parts)


def join(base: str, path: str) -> str:
    """``path`` seen from the directory ``base``; symlinks and ``..`` are left to :meth:`FileSystem.find`."""
    return path if path.startswith("/") else f"{base.rstrip('/')}/{path}"
