"""``ls`` and ``stat``."""

from __future__ import annotations

from datetime import UTC, datetime

from simkube.runtime import accounts
from simkube.runtime.applets.options import Options, name_of, parse, refuse
from simkube.runtime.nodes import Device, Directory, File, FileError, Node, Symlink
from simkube.runtime.process import Process

_KINDS = {Directory: "d", Symlink: "l", Device: "c", File: "-"}


def mode_text(node: Node) -> str:
    """``-rw-r--r--``."""
    kind = next((letter for cls, letter in _KINDS.items() if isinstance(node, cls)), "-")
    if isinstance(node, Device):
        kind = {"text": "-", "socket": "s", "block": "b"}.get(node.kind, kind)
    text = "".join(letter if node.mode >> (8 - at) & 1 else "-" for at, letter in enumerate("rwxrwxrwx"))
    if node.mode & 0o2000:
        text = text[:5] + ("s" if node.mode & 0o010 else "S") + text[6:]
    if node.mode & 0o1000:
        text = text[:-1] + ("t" if node.mode & 1 else "T")
    return kind + text


def size_of(node: Node) -> int:
    """The size that ``ls -l`` shows."""
    if isinstance(node, File):
        return len(node.data) if not node.program else 1_000_000
    if isinstance(node, Symlink):
        return len(node.target)
    return 4096 if isinstance(node, Directory) else 0


def owner(process: Process, uid: int) -> str:
    """The name of a user by /etc/passwd, or the number."""
    return accounts.user_name(process.container.files, uid)


_LONG = {"all": "a", "almost-all": "A", "color": "G", "human-readable": "h", "recursive": "R", "reverse": "r"}


async def ls(process: Process) -> int:
    """``ls [-laA1dhRtrSFin] [PATH]...``"""
    options = await parse(process, "laA1dhRtrSFnospG", long=_LONG)
    if {"--color", "--color=always"} & set(process.argv):
        await refuse(process, "--color=always")
    files = process.container.files
    status = 0
    single: list[tuple[str, Node]] = []
    directories: list[str] = []
    for path in options.operands or ["."]:
        full = process.resolve(path)
        try:
            node = files.node(full, follow="l" not in options and "d" not in options)
            if isinstance(node, Symlink) and "d" not in options and files.is_directory(full) and path.endswith("/"):
                node = files.node(full)
        except FileError as error:
            await _missing(process, path, error)
            status = 1 if process.container.spec.flavour == "busybox" else 2
            continue
        if isinstance(node, Directory) and "d" not in options:
            directories.append(path)
        else:
            single.append((path, node))
    await _show(process, options, _ordered(options, single))
    named = len(options.operands) > 1 or "R" in options
    for at, path in enumerate(directories):
        if named:
            await process.out(("\n" if at or single else "") + f"{path}:\n")
        await _directory(process, options, path, directories)
    return status


async def _missing(process: Process, path: str, error: FileError) -> None:
    if process.container.spec.flavour == "debian":
        await process.err(f"ls: cannot access '{path}': {error.strerror}\n")
    else:
        await process.err(f"ls: {path}: {error.strerror}\n")


async def _directory(process: Process, options: Options, path: str, pending: list[str]) -> None:
    files = process.container.files
    full = process.resolve(path)
    entries = list(files.entries(full).items())
    await process.work(len(entries) / 10)
    shown = [(name, node) for name, node in entries if "a" in options or "A" in options or not name.startswith(".")]
    if "a" in options:
        shown = [(".", files.node(full)), ("..", files.node(f"{full}/..")), *shown]
    if "R" in options and len(pending) < 500:
        pending.extend(
            f"{path.rstrip('/')}/{name}"
            for name, node in shown
            if isinstance(node, Directory) and name not in (".", "..")
        )
    if "l" in options:
        await process.out(f"total {sum((size_of(node) + 4095) // 4096 * 4 for _, node in shown)}\n")
    await _show(process, options, _ordered(options, shown))


def _ordered(options: Options, entries: list[tuple[str, Node]]) -> list[tuple[str, Node]]:
    if "t" in options:
        entries = sorted(entries, key=lambda entry: -entry[1].mtime)
    elif "S" in options:
        entries = sorted(entries, key=lambda entry: -size_of(entry[1]))
    return entries[::-1] if "r" in options else entries


async def _show(process: Process, options: Options, entries: list[tuple[str, Node]]) -> None:
    if not entries:
        return
    if "l" in options or "n" in options or "o" in options:
        width = max(len(str(size_of(node))) for _, node in entries)
        for name, node in entries:
            await process.out(_long(process, options, name, node, width))
        return
    names = [
        name + ("/" if ("F" in options or "p" in options) and isinstance(node, Directory) else "")
        for name, node in entries
    ]
    stream = process.fds.get(1)
    if stream is not None and stream.terminal and "1" not in options:
        await process.out("  ".join(names) + "\n")
    else:
        await process.out("".join(f"{name}\n" for name in names))


def _long(process: Process, options: Options, name: str, node: Node, width: int) -> str:
    busybox = process.container.spec.flavour == "busybox"
    size = str(size_of(node))
    if "h" in options and size_of(node) >= 1024:
        size = f"{size_of(node) / 1024:.1f}K" if size_of(node) < 1 << 20 else f"{size_of(node) / (1 << 20):.1f}M"
    user = str(node.uid) if "n" in options else owner(process, node.uid)
    group = str(node.gid) if "n" in options else ("root" if node.gid == 0 else str(node.gid))
    when = datetime.fromtimestamp(node.mtime, UTC)
    old = process.container.clock.now() - node.mtime > 15_768_000
    date = when.strftime("%b %e  %Y" if old else "%b %e %H:%M")
    links = 2 if isinstance(node, Directory) else 1
    target = f" -> {node.target}" if isinstance(node, Symlink) else ""
    if busybox:
        return f"{mode_text(node)} {links:4d} {user:<8} {group:<8} {size:>9} {date} {name}{target}\n"
    return f"{mode_text(node)} {links} {user} {group} {size:>{width}} {date} {name}{target}\n"


async def stat(process: Process) -> int:
    """``stat [-c FORMAT] FILE...`` with %n %s %a %U %u %F %Y."""
    options = await parse(process, "Lt", "c")
    status = 0
    for path in options.operands:
        try:
            node = process.container.files.node(process.resolve(path), follow="L" in options)
        except FileError as error:
            await process.err(f"{name_of(process)}: can't stat '{path}': {error.strerror}\n")
            status = 1
            continue
        await process.out(_stat_text(process, path, node, options.values.get("c", "")))
    return status


def _stat_text(process: Process, path: str, node: Node, template: str) -> str:
    kind = next(
        (
            name
            for cls, name in ((Directory, "directory"), (Symlink, "symbolic link"), (Device, "character special file"))
            if isinstance(node, cls)
        ),
        "regular file",
    )
    if kind == "regular file" and not size_of(node):
        kind = "regular empty file"
    when = datetime.fromtimestamp(node.mtime, UTC).strftime("%Y-%m-%d %H:%M:%S.000000000 +0000")
    if not template:
        return (
            f"  File: {path}\n  Size: {size_of(node)}\t{kind}\nAccess: ({node.mode & 0o7777:04o}/{mode_text(node)})  "
            f"Uid: ({node.uid:5d}/{owner(process, node.uid):>8})\nModify: {when}\n"
        )
    values = {"n": path, "s": str(size_of(node)), "a": f"{node.mode & 0o7777:o}", "U": owner(process, node.uid),
              "u": str(node.uid), "g": str(node.gid), "F": kind, "Y": str(int(node.mtime)), "y": when, "A":
              mode_text(node)}  # fmt: skip
    for letter, value in values.items():
        template = template.replace(f"%{letter}", value)
    return template + "\n"
