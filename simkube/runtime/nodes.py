"""What trees of files are made of: directories, files, links, devices, and the quota that bounds them.

Nodes of an image are *shared*: they are never changed, and copied where somebody writes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from simkube.apimachinery.errors import SimkubeError

NODE_COST = 200
"""What an entry costs of a quota besides its content, in bytes."""


class FileError(SimkubeError):
    """A failed system call: ``number`` is the errno, the text is ``strerror``'s."""

    def __init__(self, number: int, path: str = "") -> None:
        super().__init__(os.strerror(number))
        self.number = number
        self.path = path

    @property
    def strerror(self) -> str:
        """``No such file or directory`` and the like."""
        return str(self)


class Quota:
    """The bytes that one tree may hold; ``parent`` is charged as well."""

    __slots__ = ("_parent", "grown", "limit", "used", "version")

    def __init__(self, limit: int, parent: Quota | None = None) -> None:
        self.limit = limit
        self._parent = parent
        self.used = 0
        self.version = 0
        self.grown: Callable[[], None] | None = None
        """Called after more was taken."""

    def charge(self, size: int) -> None:
        """Take ``size`` bytes (give back when negative); FileError ENOSPC when there are none left."""
        if size > 0 and self.used + size > self.limit:
            raise FileError(errno.ENOSPC)
        if self._parent is not None:
            self._parent.charge(size)
        self.used += size
        self.version += 1
        if size > 0 and self.grown is not None:
            self.grown()

    def close(self) -> None:
        """The tree is gone: give everything back. A no-op the second time."""
        if self._parent is not None:
            self._parent.charge(-self.used)
            self._parent = None


class Node:
    """What a path leads to."""

    __slots__ = ("gid", "mode", "mtime", "shared", "uid")

    def __init__(self, mode: int, mtime: float = 0.0, uid: int = 0, gid: int = 0) -> None:
        self.mode = mode
        self.mtime = mtime
        self.uid = uid
        self.gid = gid
        self.shared = False


class File(Node):
    """Bytes; ``program`` names the simulated program that running it starts ("" for a script or data)."""

    __slots__ = ("data", "program")

    def __init__(self, data: bytes = b"", mode: int = 0o644, mtime: float = 0.0, program: str = "") -> None:
        super().__init__(mode, mtime)
        self.data = bytearray(data)
        self.program = program


class Symlink(Node):
    """A path that stands for another one."""

    __slots__ = ("target",)

    def __init__(self, target: str, mtime: float = 0.0) -> None:
        super().__init__(0o777, mtime)
        self.target = target


class Device(Node):
    """A character device or a file of /proc: ``kind`` is ``null``, ``zero``, ``random``, ``full``, ``tty`` or
    ``text``.
    """

    __slots__ = ("kind", "read")

    def __init__(self, kind: str, read: Callable[[], bytes] | None = None, mode: int = 0o666) -> None:
        super().__init__(mode)
        self.kind = kind
        self.read = read


class Directory(Node):
    """Names and their nodes."""

    __slots__ = ("entries",)

    def __init__(self, mode: int = 0o755, mtime: float = 0.0) -> None:
        super().__init__(mode, mtime)
        self.entries: dict[str, Node] = {}


def share(node: Node) -> Node:
    """Mark a tree as shared: whoever writes to it gets a copy."""
    node.shared = True
    if isinstance(node, Directory):
        for child in node.entries.values():
            share(child)
    return node


def private_copy(node: Node) -> Node:
    """A copy that may be changed, of a node that is shared; its entries stay shared."""
    copy: Node
    if isinstance(node, Directory):
        copy = Directory(node.mode, node.mtime)
        copy.entries = dict(node.entries)
    elif isinstance(node, File):
        copy = File(bytes(node.data), node.mode, node.mtime, node.program)
    elif isinstance(node, Symlink):
        copy = Symlink(node.target, node.mtime)
    else:
        return node
    copy.uid, copy.gid = node.uid, node.gid
    return copy


def tree_size(node: Node) -> int:
    """The quota a tree takes."""
    if isinstance(node, Directory):
        return NODE_COST + sum(tree_size(child) for child in node.entries.values())
    return NODE_COST + (len(node.data) if isinstance(node, File) else 0)
