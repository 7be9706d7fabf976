"""Applets about paths: basename, dirname, readlink, realpath, find, du, df, mount, which, pwd, md5sum and sha256sum,
base64.
"""

from __future__ import annotations

import base64 as codec
import binascii
import hashlib

from simkube.runtime.applets.options import integer, name_of, parse
from simkube.runtime.applets.reading import complain_file, content, open_operand
from simkube.runtime.executables import which as find_executable
from simkube.runtime.nodes import Device, Directory, File, FileError, Node, Symlink, tree_size
from simkube.runtime.process import Process
from simkube.runtime.procfs import mounts_text
from simkube.runtime.shell.patterns import Pattern

MAX_FOUND = 20_000


async def basename(process: Process) -> int:
    """``basename PATH [SUFFIX]``"""
    words = process.argv[1:]
    if not words:
        await process.err("basename: missing operand\n")
        return 1
    name = words[0].rstrip("/").rpartition("/")[2] or ("/" if words[0].startswith("/") else "")
    if len(words) > 1 and name != words[1]:
        name = name.removesuffix(words[1])
    await process.out(f"{name}\n")
    return 0


async def dirname(process: Process) -> int:
    """``dirname PATH``"""
    if len(process.argv) < 2:
        await process.err("dirname: missing operand\n")
        return 1
    path = process.argv[1].rstrip("/")
    head, slash, _ = path.rpartition("/")
    await process.out((head.rstrip("/") or "/" if slash else "." if path or not process.argv[1] else "/") + "\n")
    return 0


async def readlink(process: Process) -> int:
    """``readlink [-f] PATH``"""
    options = await parse(process, "fnemq")
    status = 0
    for path in options.operands:
        try:
            if "f" in options or "e" in options:
                await process.out(process.container.files.find(process.resolve(path)).path + "\n")
                continue
            node = process.container.files.node(process.resolve(path), follow=False)
        except FileError:
            status = 1
            continue
        if isinstance(node, Symlink):
            await process.out(f"{node.target}\n")
        else:
            status = 1
    return status


async def realpath(process: Process) -> int:
    """``realpath PATH...``"""
    status = 0
    for path in process.argv[1:]:
        try:
            place = process.container.files.find(process.resolve(path))
            if place.node is None:
                raise FileError(2, path)
            await process.out(f"{place.path}\n")
        except FileError as error:
            await process.err(f"realpath: {path}: {error.strerror}\n")
            status = 1
    return status


async def pwd(process: Process) -> int:
    """``pwd``"""
    await process.out(f"{process.cwd}\n")
    return 0


async def which(process: Process) -> int:
    """``which NAME...``"""
    status = 0
    for name in process.argv[1:]:
        try:
            await process.out(find_executable(process.container.files, name, process.env, process.cwd) + "\n")
        except FileError:
            status = 1
    return status


_TESTS = {"-name": 1, "-iname": 1, "-type": 1, "-path": 1, "-maxdepth": 1, "-mindepth": 1, "-size": 1, "-newer": 1,
          "-print": 0, "-follow": 0, "-delete": 0, "-empty": 0, "!": 0, "-not": 0, "-print0": 0}  # fmt: skip


async def find(process: Process) -> int:
    """``find [PATH]... [-name P] [-iname P] [-path P] [-type fdl] [-maxdepth N] [-empty] [!] [-print|-delete|-exec
    ... ;]``
    """
    words = process.argv[1:]
    if words[:1] in (["-L"], ["-H"], ["-P"]):
        words = [*words[1:], *(["-follow"] if words[0] == "-L" else [])]
    roots = []
    while words and words[0][:1] not in ("-", "!", "("):
        roots.append(words.pop(0))
    tests: list[tuple[str, str, bool]] = []
    command: list[str] = []
    together = negated = False
    while words:
        word = words.pop(0)
        if word == "-exec" and (";" in words or "+" in words):
            end = next(at for at, one in enumerate(words) if one in (";", "+"))
            command, together, words = words[:end], words[end] == "+", words[end + 1 :]
            continue
        if word not in _TESTS or (_TESTS[word] and not words):
            await process.err(f"find: {word} is not simulated\n")
            return 1
        if word in ("!", "-not"):
            negated = True
            continue
        tests.append((word, words.pop(0) if _TESTS[word] else "", negated))
        negated = False
    status = 0
    for root in roots or ["."]:
        try:
            status |= await _find_below(process, root, tests, command, together=together)
        except FileError as error:
            await process.err(f"find: {root}: {error.strerror}\n")
            status = 1
    return status


async def _find_below(
    process: Process, root: str, tests: list[tuple[str, str, bool]], command: list[str], *, together: bool
) -> int:
    full = process.resolve(root)
    status, count = 0, 0
    paths: list[str] = []
    deepest = next((integer(value) for name, value, _ in tests if name == "-maxdepth"), None)
    delete = any(name == "-delete" for name, _, _ in tests)
    followed = any(name == "-follow" for name, _, _ in tests)
    found = list(process.container.files.walk(full))[:MAX_FOUND]
    for path, node in reversed(found) if delete else found:
        count += 1
        await process.work(0.3)
        below = path[len(full) :] if full != "/" else path
        depth = len([part for part in below.split("/") if part])
        if deepest is not None and depth > deepest:
            continue
        shown = root.rstrip("/") + "/" + below.lstrip("/") if below.strip("/") else root
        if not all(_holds(process, test, shown, path, node, depth, followed=followed) for test in tests):
            continue
        if delete:
            process.container.files.remove(path, directory=isinstance(node, Directory))
        elif command and together:
            paths.append(shown)
        elif command:
            status |= await run_command(process, [word.replace("{}", shown) for word in command])
        else:
            await process.out(f"{shown}\n")
    if paths:
        status |= await run_command(process, [each for word in command for each in (paths if word == "{}" else [word])])
    return status


def _holds(
    process: Process, test: tuple[str, str, bool], shown: str, path: str, node: Node, depth: int, *, followed: bool
) -> bool:
    name, value, negated = test
    result = True
    if name in ("-name", "-iname"):
        base = shown.rstrip("/").rpartition("/")[2] or shown
        result = Pattern(value.lower()).matches(base.lower()) if name == "-iname" else Pattern(value).matches(base)
    elif name == "-path":
        result = Pattern(value).matches(shown)
    elif name == "-type":
        if isinstance(node, Symlink) and followed:
            node = process.container.files.find(path).node or node
        kinds = {"f": File, "d": Directory, "l": Symlink, "c": Device}
        result = isinstance(node, kinds.get(value, Node))
    elif name == "-mindepth":
        result = depth >= (integer(value) or 0)
    elif name == "-empty":
        result = not (node.entries if isinstance(node, Directory) else isinstance(node, File) and node.data)
    elif name == "-size":
        size = len(node.data) if isinstance(node, File) else 0
        number = integer(value.strip("+-").rstrip("ck")) or 0
        number *= {"c": 1, "k": 1024}.get(value[-1:], 512)
        result = size > number if value[:1] == "+" else size < number if value[:1] == "-" else size == number
    elif name == "-newer":
        try:
            result = node.mtime > process.container.files.node(process.resolve(value)).mtime
        except FileError:
            result = False
    return result != negated


async def run_command(process: Process, argv: list[str], env: dict[str, str] | None = None) -> int:
    """Run a command as a child and wait for it; 127 after saying that there is none."""
    environment = process.env if env is None else env
    try:
        path = find_executable(process.container.files, argv[0], environment, process.cwd)
        program, arguments = process.container.load(path, argv, environment)
        child = process.child(arguments, env=environment)
    except FileError as error:
        await process.err(f"{name_of(process)}: {argv[0]}: {error.strerror}\n")
        return 127 if error.strerror == "No such file or directory" else 126
    child.run(program)
    return await child.exited


async def du(process: Process) -> int:
    """``du [-shk] [PATH]...``"""
    options = await parse(process, "shkam", "d")
    for path in options.operands or ["."]:
        try:
            found = list(process.container.files.walk(process.resolve(path)))
        except FileError as error:
            await complain_file(process, path, error, verb="")
            return 1
        await process.work(len(found) / 10)
        size = sum(
            4 * ((tree_size(node) + 4095) // 4096) if not isinstance(node, Directory) else 4 for _, node in found
        )
        shown = str(size)
        if "h" in options:
            shown = f"{size / 1024:.1f}M" if size > 1024 else f"{size}.0K"
        await process.out(f"{shown}\t{path}\n")
    return 0


async def df(process: Process) -> int:
    """``df [-hkP] [PATH]``"""
    options = await parse(process, "hkPTm")
    human = "h" in options
    await process.out(
        f"Filesystem           {'     Size' if human else '1K-blocks'}      Used Available Use% Mounted on\n"
    )
    for path, mount in process.container.files.mounts.items():
        if mount.kind in ("proc", "sysfs"):
            continue
        total, used = mount.quota.limit // 1024, mount.quota.used // 1024
        cells = [f"{number / 1024:.1f}M" if human else str(number) for number in (total, used, total - used)]
        share = used * 100 // total if total else 0
        await process.out(f"{mount.source:<20} {cells[0]:>9} {cells[1]:>9} {cells[2]:>9} {share:3d}% {path}\n")
    return 0


async def mount(process: Process) -> int:
    """``mount`` without arguments; mounting needs privileges that pods do not have."""
    if len(process.argv) > 1:
        await process.err("mount: permission denied (are you root?)\n")
        return 1
    for line in mounts_text(process.container).splitlines():
        source, path, kind, options, *_ = line.split()
        await process.out(f"{source} on {path} type {kind} ({options})\n")
    return 0


async def checksum(process: Process) -> int:
    """``md5sum``, ``sha1sum``, ``sha256sum``, ``sha512sum``, with ``-c`` against a list of sums."""
    options = await parse(process, "cbtws")
    name = name_of(process)
    if "c" in options:
        return await _check_sums(process, options.operands or ["-"], name.removesuffix("sum"), quiet="s" in options)
    status = 0
    for path in options.operands or ["-"]:
        stream = await open_operand(process, path)
        if stream is None:
            status = 1
            continue
        data = await content(process, stream)
        digest = hashlib.new(name.removesuffix("sum"), data, usedforsecurity=False)
        await process.out(f"{digest.hexdigest()}  {path}\n")
    return status


async def _check_sums(process: Process, lists: list[str], algorithm: str, *, quiet: bool) -> int:
    failed = 0
    for path in lists:
        stream = await open_operand(process, path)
        if stream is None:
            return 1
        for line in (await content(process, stream)).decode("utf-8", "replace").splitlines():
            wanted, _, name = line.partition(" ")
            opened = await open_operand(process, name.lstrip(" *"))
            data = await content(process, opened) if opened is not None else None
            right = data is not None and hashlib.new(algorithm, data, usedforsecurity=False).hexdigest() == wanted
            failed += not right
            if not quiet:
                await process.out(f"{name.lstrip(' *')}: {'OK' if right else 'FAILED'}\n")
    if failed:
        await process.err(f"{name_of(process)}: WARNING: {failed} computed checksum did NOT match\n")
    return int(failed > 0)


async def base64(process: Process) -> int:
    """``base64 [-d] [-w N] [FILE]``"""
    options = await parse(process, "d", "w", long={"decode": "d", "wrap": "w"})
    stream = await open_operand(process, options.operands[0] if options.operands else "-")
    if stream is None:
        return 1
    data = await content(process, stream)
    if "d" in options:
        try:
            await process.out(codec.b64decode(data, validate=False))
        except binascii.Error:
            await process.err("base64: invalid input\n")
            return 1
        return 0
    text = codec.b64encode(data).decode()
    width = integer(options.values.get("w", "76")) or 0
    rows = [text[at : at + width] for at in range(0, len(text), width)] if width else [text]
    await process.out("\n".join(rows) + ("\n" if width or not options.values else ""))
    return 0
