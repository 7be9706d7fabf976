"""``dnf``, ``yum`` and ``microdnf`` of Fedora and its kin: install, remove, list, makecache. Others are refused."""

from __future__ import annotations

from simkube.runtime.applets.options import name_of
from simkube.runtime.nodes import FileError
from simkube.runtime.packages import Package, packages_of, wanted
from simkube.runtime.process import Process
from simkube.runtime.programs.packages.installing import Database, no_way, remove, unpack
from simkube.runtime.shell.line_input import read_line

_DATABASE = "/var/lib/rpm/simulated"


async def dnf(process: Process) -> int:
    """``dnf [-y] install | remove | list | update | makecache | clean``"""
    words = process.argv[1:]
    flags = {word for word in words if word.startswith("-")}
    names = [word for word in words if not word.startswith("-")]
    command = names.pop(0) if names else ""
    if command in ("install", "remove", "erase", "update", "upgrade", "makecache") and process.uid:
        await process.err(
            "Error: This command has to be run with superuser privileges (under the root user on most systems).\n"
        )
        return 1
    database = Database(process.container.files, _DATABASE)
    try:
        if command == "install":
            return await _install(process, database, flags, names)
        if command in ("remove", "erase"):
            return await _remove(process, database, names)
    except FileError as error:
        await process.err(f"Error: {error.path or _DATABASE}: {error.strerror}\n")
        return 1
    if command in ("update", "upgrade", "makecache", "check-update", "clean"):
        await process.out("Nothing to do.\n" if command != "makecache" else "Metadata cache created.\n")
        return 0
    if command == "list":
        installed = database.read()
        rows = {
            name: one for name, one in packages_of("fedora").items() if "--installed" not in flags or name in installed
        }
        await process.out("".join(f"{name}.x86_64  {one.version}  simulated\n" for name, one in rows.items()))
        return 0
    await process.err(
        f"{name_of(process)}: {command or 'no command'} is not simulated; install, remove, list and update are\n"
    )
    return 1


async def rpm(process: Process) -> int:
    """``rpm -qa``, ``rpm -q NAME...``"""
    words, installed = process.argv[1:], Database(process.container.files, _DATABASE).read()
    if words[:1] == ["-qa"]:
        await process.out("".join(f"{name}-{version}.x86_64\n" for name, version in sorted(installed.items())))
        return 0
    if words[:1] != ["-q"] or len(words) < 2:
        await process.err("rpm: only -qa and -q NAME are simulated\n")
        return 1
    for name in words[1:]:
        version = installed.get(name)
        await process.out(f"{name}-{version}.x86_64\n" if version else f"package {name} is not installed\n")
    return sum(name not in installed for name in words[1:])


async def _install(process: Process, database: Database, flags: set[str], names: list[str]) -> int:
    index = packages_of("fedora")
    await process.sleep(0.5)
    why = await no_way(process)
    if why:
        await process.sleep(0 if why == "name" else 60)
        words = "Could not resolve host: mirrors.fedoraproject.org" if why == "name" else "Timeout was reached"
        await process.err(f"Errors during downloading metadata for repository 'fedora':\n  - Curl error: {words}\n")
        await process.err("Error: Failed to download metadata for repo 'fedora'\n")
        return 1
    await process.out("Last metadata expiration check: 0:00:01 ago (an index of this simulation).\n")
    missing = [name for name in names if name not in index]
    if missing:
        await process.out("".join(f"No match for argument: {name}\n" for name in missing))
        await process.err(f"Error: Unable to find a match: {' '.join(missing)}\n")
        return 1
    installed = database.read()
    new = wanted("fedora", names, installed)
    for name in names:
        if name in installed:
            await process.out(f"Package {name}-{installed[name]}.x86_64 is already installed.\n")
    if not new:
        await process.out("Dependencies resolved.\nNothing to do.\nComplete!\n")
        return 0
    await process.out("Dependencies resolved.\n" + _table(new))
    if not flags & {"-y", "--assumeyes"}:
        await process.out("Is this ok [y/N]: ")
        answer = await read_line(process)
        if answer is None or answer.strip().lower() not in ("y", "yes"):
            await process.out("Operation aborted.\n")
            return 1
    for one in new:
        unpack(process, one)
        installed[one.name] = one.version
    database.write(installed)
    listed = "\n".join(f"  {one.name}-{one.version}.x86_64" for one in new)
    await process.out(f"Installed:\n{listed}\n\nComplete!\n")
    return 0


def _table(new: list[Package]) -> str:
    rows = "".join(f" {one.name:<24} x86_64   {one.version:<24} fedora   {one.size:>5} k\n" for one in new)
    return f"Installing:\n{rows}\nTransaction Summary\nInstall  {len(new)} Package{'s' * (len(new) > 1)}\n\n"


async def _remove(process: Process, database: Database, names: list[str]) -> int:
    index, installed = packages_of("fedora"), database.read()
    gone = [name for name in names if name in installed and name in index]
    for name in names:
        if name not in gone:
            await process.out(f"No match for argument: {name}\n")
    for name in gone:
        remove(process, index[name])
        installed.pop(name)
    database.write(installed)
    await process.out("".join(f"Removed: {name}\n" for name in gone) + ("Complete!\n" if gone else "Nothing to do.\n"))
    return 0
