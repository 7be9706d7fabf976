"""Applets that change files: mkdir, rmdir, rm, cp, mv, touch, ln, chmod, mktemp, dd."""

from __future__ import annotations

import secrets

from simkube.runtime.applets.options import Options, integer, name_of, parse
from simkube.runtime.files import FileSystem
from simkube.runtime.nodes import Directory, File, FileError, Node, Symlink
from simkube.runtime.process import Process

MAX_NODES = 5000
TEMPORARY = "/tmp"  # noqa: S108 - a path in a simulated container


async def _fails(process: Process, busybox: str, gnu: str) -> int:
    text = busybox if process.container.spec.flavour == "busybox" else gnu
    await process.err(f"{name_of(process)}: {text}\n")
    return 1


def _guard(process: Process, path: str) -> str:
    """The absolute path, once this process may write there."""
    full = process.resolve(path)
    parent = full.rstrip("/").rpartition("/")[0] or "/"
    process.check_writable(parent)
    return full


async def mkdir(process: Process) -> int:
    """``mkdir [-p] [-m MODE] DIRECTORY...``"""
    options = await parse(process, "pv", "m", long={"parents": "p", "mode": "m"})
    mode = (
        int(options.values["m"], 8)
        if options.values.get("m", "x").isdigit() and set(options.values["m"]) <= set("01234567")
        else 0o755
    )
    status = 0
    for path in options.operands:
        await process.work(3)
        try:
            if "p" in options:
                process.container.files.make_directories(
                    process.resolve(path), mode
                ) if process.uid == 0 else _make_all(process, path, mode)
            else:
                _make(process, _guard(process, path), mode)
        except FileError as error:
            status = await _fails(
                process,
                f"can't create directory '{path}': {error.strerror}",
                f"cannot create directory ‘{path}’: {error.strerror}",
            )
    return status


def _make_all(process: Process, path: str, mode: int) -> None:
    files = process.container.files
    parts = [part for part in process.resolve(path).split("/") if part]
    for end in range(1, len(parts) + 1):
        part = "/" + "/".join(parts[:end])
        if not files.is_directory(part):
            _make(process, _guard(process, part), mode)


def _make(process: Process, path: str, mode: int) -> None:
    files = process.container.files
    files.make_directory(path, mode)
    place = files.find(path, write=True)
    assert place.node is not None  # it was just made
    process.own(place.node, place.parent)


async def rmdir(process: Process) -> int:
    """``rmdir DIRECTORY...``"""
    options = await parse(process, "p")
    status = 0
    for path in options.operands:
        try:
            process.container.files.remove(_guard(process, path), directory=True)
        except FileError as error:
            status = await _fails(
                process, f"'{path}': {error.strerror}", f"failed to remove '{path}': {error.strerror}"
            )
    return status


async def rm(process: Process) -> int:
    """``rm [-rf] FILE...``"""
    options = await parse(process, "rRfiv", long={"recursive": "r", "force": "f"})
    recursive, force = "r" in options or "R" in options, "f" in options
    status = 0
    if not options.operands and not force:
        await process.err("rm: missing operand\n")
        return 1
    for path in options.operands:
        try:
            full = _guard(process, path)
            if recursive:
                await _remove_all(process, full)
            else:
                process.container.files.remove(full)
        except FileError as error:
            if force and error.strerror == "No such file or directory":
                continue
            if error.strerror == "Is a directory":
                status = await _fails(process, f"'{path}' is a directory", f"cannot remove '{path}': Is a directory")
            else:
                status = await _fails(
                    process, f"can't remove '{path}': {error.strerror}", f"cannot remove '{path}': {error.strerror}"
                )
    return status


async def _remove_all(process: Process, path: str) -> None:
    files = process.container.files
    found = list(files.walk(path))
    await process.work(len(found) / 10)
    problem: FileError | None = None
    for where, node in reversed(found):
        try:
            files.remove(where, directory=isinstance(node, Directory))
        except FileError as error:
            problem = error
    if problem is not None:
        raise problem


def copy_node(node: Node, now: float, budget: list[int]) -> Node:
    """A copy of a tree; ``budget`` holds how many nodes it may still have."""
    budget[0] -= 1
    if budget[0] < 0:
        raise FileError(28)
    copy: Node
    if isinstance(node, Directory):
        copy = Directory(node.mode, now)
        copy.entries = {name: copy_node(child, now, budget) for name, child in node.entries.items()}
    elif isinstance(node, File):
        copy = File(bytes(node.data), node.mode, now, node.program)
    elif isinstance(node, Symlink):
        copy = Symlink(node.target, now)
    else:
        copy = File(b"", node.mode, now)
    return copy


def _destination(files: FileSystem, source: str, target: str) -> str:
    if files.is_directory(target):
        return f"{target.rstrip('/')}/{source.rstrip('/').rpartition('/')[2]}"
    return target


async def cp(process: Process) -> int:
    """``cp [-rapfR] SOURCE... TARGET``"""
    options = await parse(process, "rRapfvL", long={"recursive": "r"})
    return await _copy_or_move(process, options, move=False)


async def mv(process: Process) -> int:
    """``mv [-f] SOURCE... TARGET``"""
    return await _copy_or_move(process, await parse(process, "fvn"), move=True)


async def _copy_or_move(process: Process, options: Options, *, move: bool) -> int:
    files, name = process.container.files, name_of(process)
    if len(options.operands) < 2:
        await process.err(f"{name}: missing file operand\n")
        return 1
    *sources, target = options.operands
    full_target = process.resolve(target)
    if len(sources) > 1 and not files.is_directory(full_target):
        return await _fails(process, f"target '{target}' is not a directory", f"target '{target}' is not a directory")
    recursive = move or any(letter in options for letter in "rRa")
    status = 0
    for source in sources:
        full = process.resolve(source)
        try:
            node = files.node(full, follow=not (move or "a" in options or recursive))
        except FileError as error:
            verb = "can't rename" if move else "can't stat"
            status = await _fails(
                process, f"{verb} '{source}': {error.strerror}", f"cannot stat '{source}': {error.strerror}"
            )
            continue
        if isinstance(node, Directory) and not recursive:
            status = await _fails(
                process, f"omitting directory '{source}'", f"-r not specified; omitting directory '{source}'"
            )
            continue
        try:
            await _place(process, node, full, _destination(files, source, full_target), move=move)
        except FileError as error:
            status = await _fails(
                process,
                f"can't create '{target}': {error.strerror}",
                f"cannot create regular file '{target}': {error.strerror}",
            )
    return status


async def _place(process: Process, node: Node, source: str, target: str, *, move: bool) -> None:
    files = process.container.files
    if f"{target.rstrip('/')}/".startswith(f"{source.rstrip('/')}/"):
        raise FileError(22)
    _guard(process, target)
    existing = files.find(target).node
    if isinstance(node, File) and isinstance(existing, File) and not move:
        files.write(target, bytes(node.data))
        await process.work(1 + len(node.data) / 512)
        return
    if isinstance(node, Directory) and isinstance(existing, Directory) and not move:
        for name in list(node.entries):
            await _place(process, node.entries[name], f"{source}/{name}", f"{target}/{name}", move=False)
        return
    budget = [MAX_NODES]
    copy = copy_node(node, process.container.clock.now(), budget)
    await process.work(MAX_NODES - budget[0])
    files.put(target, copy)
    process.own(copy, files.find(target).parent)
    if move:
        await _remove_all(process, source)


async def touch(process: Process) -> int:
    """``touch [-c] FILE...``"""
    options = await parse(process, "cam", "d")
    if "d" in options:
        await process.err("touch: option -d is not simulated\n")
        return 1
    files = process.container.files
    status = 0
    for path in options.operands:
        try:
            full = process.resolve(path)
            if files.exists(full):
                process.check_writable(full)
                files.change(full, mtime=process.container.clock.now())
            elif "c" not in options:
                process.open_write(path).release()
        except FileError as error:
            status = await _fails(process, f"{path}: {error.strerror}", f"cannot touch '{path}': {error.strerror}")
    return status


async def ln(process: Process) -> int:
    """``ln -s [-f] TARGET LINK``; hard links are not simulated."""
    options = await parse(process, "sfn")
    if "s" not in options or not 1 <= len(options.operands) <= 2:
        await process.err("ln: only symbolic links (ln -s TARGET LINK) are simulated\n")
        return 1
    target = options.operands[0]
    link = process.resolve(options.operands[1] if len(options.operands) == 2 else target.rpartition("/")[2])
    files = process.container.files
    try:
        link = _destination(files, target, link)
        if "f" in options and files.find(link, follow=False).node is not None:
            files.remove(_guard(process, link))
        files.make_link(target, _guard(process, link))
    except FileError as error:
        return await _fails(
            process, f"{link}: {error.strerror}", f"failed to create symbolic link '{link}': {error.strerror}"
        )
    return 0


def _changed_mode(mode: int, text: str) -> int | None:
    if text and len(text) < 5 and set(text) <= set("01234567"):
        return int(text, 8)
    for clause in text.split(",")[:10]:
        at = next((index for index, char in enumerate(clause) if char in "+-="), -1)
        if at < 0:
            return None
        who, operator, what = clause[:at] or "a", clause[at], clause[at + 1 :]
        if set(who) - set("ugoa") or set(what) - set("rwxX"):
            return None
        bits = sum({"r": 4, "w": 2, "x": 1, "X": 1}[letter] for letter in set(what))
        mask = 0
        for letter in who:
            mask |= {"u": bits << 6, "g": bits << 3, "o": bits, "a": bits * 0o111}[letter]
        whole = sum({"u": 0o700, "g": 0o070, "o": 0o007, "a": 0o777}[letter] for letter in set(who)) & 0o777
        mode = mode | mask if operator == "+" else mode & ~mask if operator == "-" else (mode & ~whole) | mask
    return mode


async def chmod(process: Process) -> int:
    """``chmod [-R] MODE FILE...``"""
    argv = process.argv
    if len(argv) > 1 and argv[1][:1] == "-" and set(argv[1][1:]) <= set("rwx") and len(argv[1]) > 1:
        process.argv = [argv[0], "--", *argv[1:]]
    options = await parse(process, "Rvf")
    if len(options.operands) < 2:
        await process.err("chmod: missing operand\n")
        return 1
    text, *paths = options.operands
    files, status = process.container.files, 0
    for path in paths:
        full = process.resolve(path)
        try:
            for where in [where for where, _ in files.walk(full)] if "R" in options else [full]:
                node = files.node(where)
                mode = _changed_mode(node.mode, text)
                if mode is None:
                    await process.err(f"chmod: invalid mode '{text}'\n")
                    return 1
                if process.uid not in (0, node.uid):
                    raise FileError(1)
                files.change(where, mode=mode)
        except FileError as error:
            status = await _fails(process, f"{path}: {error.strerror}", f"cannot access '{path}': {error.strerror}")
    return status


async def mktemp(process: Process) -> int:
    """``mktemp [-d] [TEMPLATE]``"""
    options = await parse(process, "dqu", "p")
    template = options.operands[0] if options.operands else f"{options.values.get('p', TEMPORARY)}/tmp.XXXXXX"  # noqa: S108 - as above
    marks = len(template) - len(template.rstrip("X"))
    path = template.rstrip("X") + secrets.token_hex(20)[:marks]
    try:
        if "d" in options:
            process.container.files.make_directory(process.resolve(path), 0o700)
        else:
            process.open_write(path).release()
    except FileError as error:
        await process.err(f"mktemp: {error.strerror}: {template}\n")
        return 1
    await process.out(f"{path}\n")
    return 0


async def dd(process: Process) -> int:
    """``dd if=F of=F bs=N count=N``"""
    settings = dict(word.partition("=")[::2] for word in process.argv[1:])
    unknown = set(settings) - {"if", "of", "bs", "count", "conv", "status"}
    if unknown:
        await process.err(f"dd: operand {sorted(unknown)[0]} is not simulated\n")
        return 1
    size = _bytes_of(settings.get("bs", "512"))
    count = integer(settings["count"]) if "count" in settings else None
    if size is None or not 0 < size <= 1 << 24:
        await process.err("dd: bs must be a number up to 16M\n")
        return 1
    try:
        source = process.open_read(settings["if"]) if "if" in settings else process.fds[0].hold()
        target = process.open_write(settings["of"]) if "of" in settings else process.fds[1].hold()
    except FileError as error:
        await process.err(f"dd: can't open '{error.path}': {error.strerror}\n")
        return 1
    await process.allocate(size)
    blocks, total, failed = 0, 0, ""
    while count is None or blocks < count:
        data = await source.read(size)
        if not data:
            break
        await process.work(1 + len(data) / 1024)
        try:
            await target.write(data)
        except FileError as error:
            failed = f"dd: error writing '{settings.get('of', 'standard output')}': {error.strerror}\n"
            break
        blocks, total = blocks + 1, total + len(data)
    source.release()
    target.release()
    await process.err(failed + f"{blocks}+0 records in\n{blocks}+0 records out\n{total} bytes copied\n")
    return int(bool(failed))


def _bytes_of(text: str) -> int | None:
    factor = {"k": 1024, "K": 1024, "M": 1 << 20, "G": 1 << 30}.get(text[-1:], 1)
    number = integer(text[:-1] if factor > 1 else text)
    return None if number is None else number * factor
