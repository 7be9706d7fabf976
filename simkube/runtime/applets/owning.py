"""``chown``, ``chgrp``, ``groups`` and ``getent``: whose files and what names there are."""

from __future__ import annotations

import errno

from simkube.runtime import accounts
from simkube.runtime.applets.options import name_of, parse
from simkube.runtime.cri import NetworkError
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process


async def chown(process: Process) -> int:
    """``chown [-Rhvf] [USER][:GROUP] FILE...``, ``chgrp [-R] GROUP FILE...``; only root may."""
    options = await parse(process, "Rhvf", long={"recursive": "R"})
    name = name_of(process)
    if len(options.operands) < 2:
        await process.err(f"{name}: missing operand\n")
        return 1
    text, *paths = options.operands
    user, _, group = text.replace(".", ":", 1).partition(":") if name == "chown" else ("", "", text)
    files = process.container.files
    uid, gid = accounts.number_of(files, "/etc/passwd", user), accounts.number_of(files, "/etc/group", group)
    for given, found, kind in ((user, uid, "user"), (group, gid, "group")):
        if given and found is None:
            busybox = process.container.spec.flavour == "busybox"
            words = f"unknown {kind} {given}" if busybox else f"invalid {kind}: ‘{text}’"
            await process.err(f"{name}: {words}\n")
            return 1
    status = 0
    for path in paths:
        full = process.resolve(path)
        try:
            if process.uid != 0:
                raise FileError(errno.EPERM, path)
            for where in [where for where, _ in files.walk(full)] if "R" in options else [full]:
                await process.work(0.2)
                files.change(where, uid=uid, gid=gid)
        except FileError as error:
            busybox = process.container.spec.flavour == "busybox"
            verb = "changing ownership of" if error.number == errno.EPERM else "cannot access"
            await process.err(f"{name}: {path if busybox else f'{verb} {path!r}'}: {error.strerror}\n")
            status = 1
    return status


async def groups(process: Process) -> int:
    """``groups``"""
    names = [accounts.group_name(process.container.files, gid) for gid in sorted(process.groups)]
    await process.out(" ".join(names) + "\n")
    return 0


async def getent(process: Process) -> int:
    """``getent hosts|ahosts NAME``, ``getent passwd|group [NAME]``"""
    words = process.argv[1:]
    if words[:1] in (["passwd"], ["group"]):
        try:
            text = process.container.files.read(f"/etc/{words[0]}").decode("utf-8", "replace")
        except FileError:
            return 2
        rows = [line for line in text.splitlines() if not words[1:] or words[1] in line.split(":")[:3:2]]
        await process.out("".join(f"{row}\n" for row in rows))
        return 0 if rows else 2
    if words[:1] not in (["hosts"], ["ahosts"], ["ahostsv4"]) or len(words) != 2:
        await process.err("getent: only hosts, ahosts, passwd and group are simulated\n")
        return 1
    sandbox = process.container.sandbox
    try:
        addresses = await sandbox.network.resolve(sandbox.ip, words[1], sandbox.config)
    except NetworkError:
        return 2
    for address in addresses:
        kind = "" if words[0] == "hosts" else "STREAM "
        await process.out(f"{address:<15} {kind}{words[1]}\n")
    return 0
