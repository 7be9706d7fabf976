"""What the kubelet puts into a volume, all of it at once, so that no process ever sees half of a change.

The files are in a directory named after the time, ``..data`` is a link to it, and each name that people use is a link
into ``..data``. A change makes a new directory and moves ``..data``: who holds a file of the old one (a ``subPath``
mount) keeps it. After ``pkg/volume/util/atomic_writer.go``. It refuses to judge paths; the kubelet did.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from simkube.runtime.nodes import Directory, File, FileError, Node, Quota, Symlink, tree_size

DATA = "..data"
Files = Mapping[str, tuple[bytes, int]]
"""Path in the volume -> content and mode."""


def project(root: Directory, quota: Quota, files: Files, now: float) -> None:
    """Have a volume hold ``files`` and nothing else; a no-op when it does. FileError ENOSPC, and all is as before."""
    before, data = root.entries, _tree(files, now)
    link = before.get(DATA)
    old = before.get(link.target) if isinstance(link, Symlink) else None
    if isinstance(old, Directory) and _same(old, data):
        return
    name = _name(now, before)
    after: dict[str, Node] = {name: data, DATA: Symlink(name, now)}
    after |= {each: _link(each, before, now) for each in data.entries}
    if old is not None:  # what was made for something to be mounted on
        made = {each: node for each, node in before.items() if isinstance(node, Directory) and node is not old}
        after |= made
    root.entries, root.mtime = after, now
    quota.charge(-_size(before))
    try:
        quota.charge(_size(after))
    except FileError:
        root.entries = before
        quota.charge(_size(before))
        raise


def _tree(files: Files, now: float) -> Directory:
    top = Directory(0o755, now)
    for path, (content, mode) in files.items():
        *folders, name = [part for part in path.split("/") if part not in ("", ".")]
        here = top
        for folder in folders:
            below = here.entries.setdefault(folder, Directory(0o755, now))
            if not isinstance(below, Directory):  # one path is another's folder: the later one wins
                below = here.entries[folder] = Directory(0o755, now)
            here = below
        here.entries[name] = File(content, mode, now)
    return top


def _link(name: str, before: Mapping[str, Node], now: float) -> Node:
    """The link there is, or a new one: only ``..data`` moves."""
    known = before.get(name)
    return known if isinstance(known, Symlink) else Symlink(f"{DATA}/{name}", now)


def _name(now: float, taken: Mapping[str, Node]) -> str:
    stamp = datetime.fromtimestamp(now, UTC).strftime("..%Y_%m_%d_%H_%M_%S")
    number = int(now * 1_000_000_000) % (1 << 32)
    while f"{stamp}.{number}" in taken:
        number += 1
    return f"{stamp}.{number}"


def _same(one: Node, other: Node) -> bool:
    """Whether two trees have the same files; their modes do not count, which an ``fsGroup`` changes."""
    if isinstance(one, Directory) and isinstance(other, Directory):
        if one.entries.keys() != other.entries.keys():
            return False
        return all(_same(node, other.entries[name]) for name, node in one.entries.items())
    return isinstance(one, File) and isinstance(other, File) and one.data == other.data


def _size(entries: Mapping[str, Node]) -> int:
    return sum(tree_size(node) for node in entries.values())
