"""``apt-get``, ``apt`` and ``dpkg`` of Debian and Ubuntu: update, install, remove, list. Other commands are refused."""

from __future__ import annotations

from simkube.runtime.applets.options import name_of
from simkube.runtime.nodes import FileError
from simkube.runtime.packages import Package, packages_of, wanted
from simkube.runtime.process import Process
from simkube.runtime.programs.packages.installing import Database, no_way, remove, unpack
from simkube.runtime.shell.line_input import read_line

_LISTS = "/var/lib/apt/lists/simulated_Packages"
_STATUS = "/var/lib/dpkg/status"
_COMMANDS = "update, install, remove, purge, upgrade, list, show, search, clean and autoremove"
_QUIET = frozenset(["-q", "-qq", "--quiet"])
_VALUED = frozenset(["-o", "-t", "-c"])


class _Apt:
    """One call of ``apt`` or ``apt-get``."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.files = process.container.files
        words, self.flags, self.names = list(process.argv[1:]), set[str](), list[str]()
        while words:
            word = words.pop(0)
            if word in _VALUED and words:
                words.pop(0)
            elif word.startswith("-"):
                self.flags.add(word)
            else:
                self.names.append(word)
        self.command = self.names.pop(0) if self.names else ""
        self.quiet = "-qq" in self.flags
        self.sure = bool(self.flags & {"-y", "--yes", "--assume-yes", "-qq", "-qy", "-yq", "-yqq", "-qqy"})
        self.database = Database(self.files, _STATUS)
        self.ubuntu = b"ubuntu" in _read(process, "/etc/os-release").lower()
        self.index = packages_of("debian")

    @property
    def mirror(self) -> str:
        """Where the index says that it comes from."""
        if self.ubuntu:
            return "http://archive.ubuntu.com/ubuntu noble"
        return "http://deb.debian.org/debian trixie"

    async def say(self, text: str) -> None:
        """Tell something that ``-qq`` leaves out."""
        if not self.quiet:
            await self.process.out(text)


async def apt(process: Process) -> int:
    """``apt-get [-yq] update | install | remove | upgrade | clean``, ``apt list | show | search``"""
    call = _Apt(process)
    if name_of(process) == "apt" and not getattr(process.fds.get(1), "terminal", False) and call.command:
        warning = "apt does not have a stable CLI interface. Use with caution in scripts."
        await process.err(f"\nWARNING: {warning}\n\n")
    if (
        call.command in ("update", "install", "remove", "purge", "upgrade", "dist-upgrade", "full-upgrade")
        and process.uid
    ):
        lists = call.command == "update"
        path = "/var/lib/apt/lists/lock" if lists else "/var/lib/dpkg/lock-frontend"
        await process.err(f"E: Could not open lock file {path} - open (13: Permission denied)\n")
        if not lists:
            await process.err(f"E: Unable to acquire the dpkg frontend lock ({path}), are you root?\n")
        return 100
    try:
        return await _run(call)
    except FileError as error:
        await process.err(f"E: Could not write to {error.path or '/var/lib/apt'} - {error.strerror}\n")
        return 100


async def _run(call: _Apt) -> int:
    command, process = call.command, call.process
    if command == "update":
        return await _update(call)
    if command == "install":
        return await _install(call)
    if command in ("remove", "purge"):
        return await _remove(call)
    if command in ("upgrade", "dist-upgrade", "full-upgrade", "autoremove"):
        await call.say("Reading package lists...\nBuilding dependency tree...\nReading state information...\n")
        await call.say("0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n")
        return 0
    if command in ("clean", "autoclean"):
        return 0
    if command in ("list", "search", "show"):
        return await _look(call)
    if not command:
        await process.out("apt 3.0.3 (amd64)\nUsage: apt [options] command\n")
        return 0 if call.flags & {"-v", "--version", "-h", "--help"} else 1
    await process.err(f"E: Invalid operation {command}\n")
    await process.err(f"N: Simulated are {_COMMANDS}.\n")
    return 100


async def _update(call: _Apt) -> int:
    process, host = call.process, call.mirror.split("/")[2]
    await process.sleep(0.5)
    why = await no_way(process)
    if why:
        words = f"Temporary failure resolving '{host}'"
        if why == "timeout":
            await process.sleep(30)
            words = f"Could not connect to {host}:80, connection timed out"
        await call.say(f"Err:1 {call.mirror} InRelease\n  {words}\nReading package lists...\n")
        await process.err(
            f"W: Failed to fetch {call.mirror.split()[0]}/dists/{call.mirror.split()[1]}/InRelease  {words}\n"
        )
        await process.err("W: Some index files failed to download. They have been ignored, or old ones used instead.\n")
        return 0
    listing = "".join(f"Package: {name}\nVersion: {one.version}\n\n" for name, one in call.index.items())
    call.files.make_directories("/var/lib/apt/lists")
    call.files.write(_LISTS, listing.encode())
    await call.say(f"Get:1 {call.mirror} InRelease [140 kB]\n")
    await call.say(f"Get:2 {call.mirror}/main amd64 Packages (simulated, {len(call.index)} packages) [12.0 kB]\n")
    await call.say("Fetched 152 kB in 0s (304 kB/s)\nReading package lists...\n")
    return 0


async def _install(call: _Apt) -> int:
    process = call.process
    await call.say("Reading package lists...\nBuilding dependency tree...\nReading state information...\n")
    known = call.files.exists(_LISTS)
    names = [name.partition("=")[0].partition(":")[0] for name in call.names]
    missing = [name for name in names if not known or name not in call.index]
    if missing:
        for name in missing:
            await process.err(f"E: Unable to locate package {name}\n")
        if known:
            await process.err(f"N: The index of this simulation has {len(call.index)} packages; apt list shows them.\n")
        return 100
    installed = call.database.read()
    new = wanted("debian", names, installed)
    for name in names:
        if name in installed:
            await call.say(f"{name} is already the newest version ({installed[name]}).\n")
    await _plan(call, names, new)
    if not new:
        return 0
    if {one.name for one in new} - set(names) and not await _agreed(call):
        return 1
    why = await no_way(process)
    if why:
        host = call.mirror.split("/")[2]
        words = f"Temporary failure resolving '{host}'" if why == "name" else f"Could not connect to {host}:80"
        await process.err(f"E: Failed to fetch {call.mirror.split()[0]}/pool/main  {words}\n")
        await process.err("E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?\n")
        return 100
    await _put(call, new)
    return 0


async def _plan(call: _Apt, names: list[str], new: list[Package]) -> None:
    also = sorted(one.name for one in new if one.name not in names)
    if also:
        await call.say(f"The following additional packages will be installed:\n  {' '.join(also)}\n")
    if new:
        listed = " ".join(sorted(one.name for one in new))
        await call.say(f"The following NEW packages will be installed:\n  {listed}\n")
    await call.say(f"0 upgraded, {len(new)} newly installed, 0 to remove and 0 not upgraded.\n")
    if new:
        size = sum(one.size for one in new)
        await call.say(f"Need to get {size} kB of archives.\n")
        await call.say(f"After this operation, {size * 3} kB of additional disk space will be used.\n")


async def _agreed(call: _Apt) -> bool:
    if call.sure:
        return True
    await call.process.out("Do you want to continue? [Y/n] ")
    answer = await read_line(call.process)
    if answer is not None and answer.strip().lower() in ("", "y", "yes"):
        return True
    await call.process.out("Abort.\n")
    return False


async def _put(call: _Apt, new: list[Package]) -> None:
    process = call.process
    for number, one in enumerate(new, 1):
        await call.say(f"Get:{number} {call.mirror}/main amd64 {one.name} amd64 {one.version} [{one.size} kB]\n")
    size = sum(one.size for one in new)
    await process.sleep(0.5)
    await call.say(f"Fetched {size} kB in 0s ({size * 2} kB/s)\n")
    installed = call.database.read()
    for one in new:
        await call.say(f"Selecting previously unselected package {one.name}.\n")
        await call.say(f"Preparing to unpack .../{one.name}_{one.version}_amd64.deb ...\n")
        unpack(process, one)
        await call.say(f"Unpacking {one.name} ({one.version}) ...\n")
    for one in new:
        installed[one.name] = one.version
        await call.say(f"Setting up {one.name} ({one.version}) ...\n")
    call.database.write(installed)


async def _remove(call: _Apt) -> int:
    installed = call.database.read()
    await call.say("Reading package lists...\nBuilding dependency tree...\nReading state information...\n")
    gone = [name for name in call.names if name in installed and name in call.index]
    for name in call.names:
        if name not in gone:
            await call.say(f"Package '{name}' is not installed, so not removed\n")
    if gone:
        await call.say(f"The following packages will be REMOVED:\n  {' '.join(gone)}\n")
    await call.say(f"0 upgraded, 0 newly installed, {len(gone)} to remove and 0 not upgraded.\n")
    if gone and not await _agreed(call):
        return 1
    for name in gone:
        remove(call.process, call.index[name])
        await call.say(f"Removing {name} ({installed.pop(name)}) ...\n")
    call.database.write(installed)
    return 0


async def _look(call: _Apt) -> int:
    process, installed = call.process, call.database.read()
    if call.command == "list":
        await call.say("Listing...\n")
    found = 0
    for name, one in call.index.items():
        here = name in installed
        if not (here or call.files.exists(_LISTS)) or ("--installed" in call.flags and not here):
            continue
        if call.names and not any(word in name if call.command == "search" else word == name for word in call.names):
            continue
        found += 1
        if call.command == "show":
            needs = f"Depends: {', '.join(one.needs)}\n" * bool(one.needs)
            await process.out(f"Package: {name}\nVersion: {one.version}\n{needs}\n")
        else:
            await process.out(f"{name}/stable{',now' * here} {one.version} amd64{' [installed]' * here}\n")
    if call.command == "show" and not found:
        await process.err("E: No packages found\n")
        return 100
    return 0


async def apt_cache(process: Process) -> int:
    """``apt-cache policy NAME``, ``apt-cache search WORD``, ``apt-cache show NAME``"""
    call = _Apt(process)
    if call.command in ("search", "show"):
        return await _look(call)
    if call.command != "policy":
        await process.err("apt-cache: only policy, search and show are simulated\n")
        return 100
    installed, known = call.database.read(), call.files.exists(_LISTS)
    for name in call.names:
        if name in call.index and (known or name in installed):
            candidate = call.index[name].version
            await process.out(f"{name}:\n  Installed: {installed.get(name, '(none)')}\n  Candidate: {candidate}\n")
    return 0


async def dpkg(process: Process) -> int:
    """``dpkg -l [NAME]``, ``dpkg -s NAME``, ``dpkg -L NAME``"""
    words = process.argv[1:]
    installed = Database(process.container.files, _STATUS).read()
    if words[:1] in (["-l"], ["--list"]):
        rows = {name: version for name, version in installed.items() if not words[1:] or name in words[1:]}
        if words[1:] and not rows:
            await process.err(f"dpkg-query: no packages found matching {words[1]}\n")
            return 1
        await process.out("||/ Name           Version      Architecture Description\n")
        await process.out(
            "".join(f"ii  {name:<14} {version:<12} amd64        simulated\n" for name, version in rows.items())
        )
        return 0
    if words[:1] in (["-s"], ["-L"]) and len(words) == 2:
        if words[1] not in installed:
            await process.err(f"dpkg-query: package '{words[1]}' is not installed\n")
            return 1
        if words[0] == "-s":
            version = installed[words[1]]
            await process.out(f"Package: {words[1]}\nStatus: install ok installed\nVersion: {version}\n")
        else:
            known = packages_of("debian").get(words[1])
            await process.out("".join(f"{path}\n" for path in (known.programs if known is not None else {})))
        return 0
    if words[:1] == ["--print-architecture"]:
        await process.out("amd64\n")
        return 0
    await process.err("dpkg: only -l, -s, -L and --print-architecture are simulated\n")
    return 2


def _read(process: Process, path: str) -> bytes:
    try:
        return process.container.files.read(path)
    except FileError:
        return b""
