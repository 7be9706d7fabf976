"""``apk`` of Alpine: update, add, del, info, search. Other commands are refused."""

from __future__ import annotations

from simkube.runtime.nodes import FileError
from simkube.runtime.packages import packages_of, wanted
from simkube.runtime.process import Process
from simkube.runtime.programs.packages.installing import Database, no_way, remove, unpack

_INSTALLED = "/lib/apk/db/installed"
_BASE = 16
"""Packages of the image itself."""
_VALUED = frozenset(["-t", "--virtual", "-X", "--repository", "--allow-untrusted-from"])


async def apk(process: Process) -> int:
    """``apk update | add [--no-cache] NAME... | del NAME... | info [-e NAME] | search NAME``"""
    words, flags, names = list(process.argv[1:]), set[str](), list[str]()
    while words:
        word = words.pop(0)
        if word in _VALUED and words:
            words.pop(0)
        elif word.startswith("-"):
            flags.add(word)
        else:
            names.append(word)
    command = names.pop(0) if names else ""
    if command in ("update", "add", "del", "upgrade") and process.uid:
        await process.err("ERROR: Unable to lock database: Permission denied\n")
        await process.err("ERROR: Failed to open apk database: Permission denied\n")
        return 99
    try:
        if command in ("update", "add", "upgrade"):
            return await _add(process, command, names, quiet="-q" in flags or "--quiet" in flags)
        if command == "del":
            return await _delete(process, names)
    except FileError as error:
        await process.err(f"ERROR: Unable to lock database: {error.strerror}\n")
        await process.err(f"ERROR: Failed to open apk database: {error.strerror}\n")
        return 99
    if command in ("info", "search", "list"):
        return await _look(process, command, flags, names)
    shown = f"'{command}' is not simulated" if command else "a command is needed"
    await process.err(f"apk: {shown}; update, add, del, upgrade, info, list and search are\n")
    return 1


def _mirror(process: Process, part: str) -> str:
    version = process.container.files.read("/etc/alpine-release").decode().strip()
    branch = "v" + ".".join(version.split(".")[:2])
    return f"https://dl-cdn.alpinelinux.org/alpine/{branch}/{part}"


async def _add(process: Process, command: str, names: list[str], *, quiet: bool) -> int:
    index, database = packages_of("alpine"), Database(process.container.files, _INSTALLED)
    await process.sleep(0.3)
    why = await no_way(process)
    for part in ("main", "community"):
        mirror = _mirror(process, part)
        if not quiet:
            await process.out(f"fetch {mirror}/x86_64/APKINDEX.tar.gz\n")
        if why:
            words = "temporary error (try again later)" if why == "name" else "operation timed out"
            await process.sleep(0.0 if why == "name" else 60.0)
            await process.err(f"WARNING: fetching {mirror}: {words}\n")
    if command == "update":
        if why:
            await process.out("2 unavailable, 0 stale; 0 distinct packages available\n")
            return 2
        await process.out(f"OK: {len(index)} distinct packages available (an index of this simulation)\n")
        return 0
    names = [name.partition("=")[0].partition("~")[0].partition("<")[0] for name in names]
    missing = [name for name in names if why or name not in index]
    if missing:
        lines = "".join(f"  {name} (no such package):\n    required by: world[{name}]\n" for name in missing)
        await process.err(f"ERROR: unable to select packages:\n{lines}")
        return len(missing)
    installed = database.read()
    new = wanted("alpine", names, installed)
    for number, one in enumerate(new, 1):
        unpack(process, one)
        if not quiet:
            await process.out(f"({number}/{len(new)}) Installing {one.name} ({one.version})\n")
        installed[one.name] = one.version
    database.write(installed)
    if new and not quiet:
        await process.out("Executing busybox-1.37.0-r19.trigger\n")
    if not quiet:
        await _total(process, installed)
    return 0


async def _total(process: Process, installed: dict[str, str]) -> None:
    index = packages_of("alpine")
    size = 8 + sum(index[name].size for name in installed if name in index) // 1024
    await process.out(f"OK: {size} MiB in {_BASE + len(installed)} packages\n")


async def _delete(process: Process, names: list[str]) -> int:
    index, database = packages_of("alpine"), Database(process.container.files, _INSTALLED)
    installed = database.read()
    gone = [name for name in names if name in installed and name in index]
    for number, name in enumerate(gone, 1):
        remove(process, index[name])
        await process.out(f"({number}/{len(gone)}) Purging {name} ({installed.pop(name)})\n")
    database.write(installed)
    await _total(process, installed)
    return 0


async def _look(process: Process, command: str, flags: set[str], names: list[str]) -> int:
    index, installed = packages_of("alpine"), Database(process.container.files, _INSTALLED).read()
    if command == "info":
        if "-e" in flags:
            found = [name for name in names if name in installed]
            await process.out("".join(f"{name}\n" for name in found))
            return len(names) - len(found)
        await process.out("".join(f"{name}\n" for name in sorted(installed)))
        return 0
    for name, one in index.items():
        if all(word in name for word in names) and (name in installed or not flags & {"-I", "--installed"}):
            await process.out(f"{name}-{one.version}\n")
    return 0
