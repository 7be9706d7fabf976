"""The file system of a node, as far as pods use it: what ``hostPath`` and ``local`` volumes are directories of.

One tree a node, shared by all its pods, so that what one wrote the next one finds. It holds nothing of its own: there
is no operating system on these nodes. ``changed`` is called after each write, so that its keeper can store it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simkube.runtime.files import normal
from simkube.runtime.nodes import Directory, File, Node, Quota, tree_size
from simkube.runtime.volume import VOLUME_BYTES, MemoryVolume, dump_tree, restore_tree


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
    """See the module. It outlives the sandboxes that mount parts of it."""

    lasting = True

    def __init__(self, now: Callable[[], float], parent: Quota | None = None) -> None:
        super().__init__(now, parent=parent)
        self._quota = _Watched(VOLUME_BYTES, parent)
        self.quota = self._quota
        self._files.mounts["/"].quota = self._quota

    def on_change(self, changed: Callable[[], None]) -> None:
        """Have ``changed`` called after each write from now on."""
        self._quota.changed = changed

    def make(self, path: str, mode: int = 0o755) -> None:
        """A directory and those above it; one that is there keeps its mode."""
        clean = normal(path)
        self._files.make_directories(clean.rpartition("/")[0] or "/")
        if clean != "/" and not self._files.exists(clean):
            self._files.make_directory(clean, mode)

    def touch(self, path: str) -> None:
        """An empty file, where there is nothing; FileError when there is no directory for it."""
        if not self._files.exists(normal(path)):
            self._files.write(normal(path), b"")

    def kind(self, path: str) -> str:
        """``directory``, ``file``, ``other``, or "" for nothing."""
        node: Node | None = self.node(path)
        if node is None:
            return ""
        return "directory" if isinstance(node, Directory) else "file" if isinstance(node, File) else "other"

    def dump(self) -> dict[str, Any]:
        """The content as JSON."""
        return {"tree": dump_tree(self.root, whole=True)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`dump` gave."""
        self.root.entries = restore_tree(state["tree"], None)
        self._quota.charge(tree_size(self.root) - self._quota.used)
