"""``tar``: create and extract, enough for ``kubectl cp``; of compressions gzip. Archives are bounded in size."""

from __future__ import annotations

import io
import tarfile

from simkube.runtime.applets.compressing import packed, unpacked
from simkube.runtime.applets.options import Options, parse
from simkube.runtime.applets.reading import content, open_operand
from simkube.runtime.files import join, normal
from simkube.runtime.nodes import Directory, File, FileError, Node, Symlink
from simkube.runtime.process import Process

MAX_ARCHIVE = 8 * 1024 * 1024
MAX_MEMBERS = 5000


_LONG = {"file": "f", "directory": "C", "no-same-owner": "o", "create": "c", "extract": "x", "list": "t", "gzip": "z",
         "verbose": "v"}  # fmt: skip


async def tar(process: Process) -> int:
    """``tar c|x|t [-f FILE] [-C DIRECTORY] [-vmphz] [PATH]...``"""
    if len(process.argv) > 1 and process.argv[1][:1] not in ("-", ""):
        process.argv = [process.argv[0], f"-{process.argv[1]}", *process.argv[2:]]
    options = await parse(process, "cxtvmphOozk", "fC", long=_LONG)
    modes = [letter for letter in "cxt" if letter in options]
    if len(modes) != 1:
        await process.err("tar: exactly one of -c, -x and -t is needed\n")
        return 2
    base = join(process.cwd, options.values.get("C", "."))
    if not process.container.files.is_directory(base):
        await process.err(f"tar: can't change directory to '{options.values.get('C')}': No such file or directory\n")
        return 2
    if modes == ["c"]:
        return await _create(process, options, base)
    stream = await open_operand(process, options.values.get("f", "-"))
    if stream is None:
        return 2
    data = await content(process, stream, MAX_ARCHIVE)
    try:
        if data.startswith(b"\x1f\x8b"):
            data = unpacked(data, MAX_ARCHIVE)
        return await _extract(process, options, base, data)
    except (tarfile.TarError, EOFError, ValueError) as error:
        await process.err(f"tar: invalid tar archive: {error}\n")
        return 2


async def _create(process: Process, options: Options, base: str) -> int:
    output = io.BytesIO()
    files, status = process.container.files, 0
    with tarfile.open(fileobj=output, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for operand in options.operands:
            root = join(base, operand)
            try:
                found = list(files.walk(root))[:MAX_MEMBERS]
            except FileError as error:
                await process.err(f"tar: {operand}: {error.strerror}\n")
                status = 1
                continue
            for path, node in found:
                name = (operand.rstrip("/") + path[len(root.rstrip("/")) :]).lstrip("/") or "."
                _add(archive, name, node)
                await process.work(1)
    data = packed(output.getvalue()) if "z" in options else output.getvalue()
    target = options.values.get("f", "-")
    if target == "-":
        await process.out(data)
    else:
        stream = process.open_write(target)
        await stream.write(data)
        stream.release()
    return status


def _add(archive: tarfile.TarFile, name: str, node: Node) -> None:
    member = tarfile.TarInfo(name)
    member.mode, member.mtime, member.uid, member.gid = node.mode & 0o7777, int(node.mtime), node.uid, node.gid
    if isinstance(node, Directory):
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    elif isinstance(node, Symlink):
        member.type, member.linkname = tarfile.SYMTYPE, node.target
        archive.addfile(member)
    elif isinstance(node, File):
        member.size = len(node.data)
        archive.addfile(member, io.BytesIO(bytes(node.data)))


async def _extract(process: Process, options: Options, base: str, data: bytes) -> int:
    status, count = 0, 0
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for member in archive:
            count += 1
            await process.work(1 + member.size / 1024)
            name = normal(member.name).lstrip("/")
            if count > MAX_MEMBERS or (
                options.operands and name not in [normal(each).lstrip("/") for each in options.operands]
            ):
                continue
            if "t" in options or "v" in options:
                await process.out(f"{name}\n")
            if "t" in options or not name:
                continue
            try:
                await _write(process, archive, member, f"{base.rstrip('/')}/{name}")
            except FileError as error:
                await process.err(f"tar: can't open '{name}': {error.strerror}\n")
                status = 1
    return status


async def _write(process: Process, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    files = process.container.files
    if member.isdir():
        files.make_directories(path, member.mode or 0o755)
        return
    parent = path.rpartition("/")[0] or "/"
    files.make_directories(parent)
    process.check_writable(parent)
    if member.issym():
        files.make_link(member.linkname, path)
    elif member.isfile():
        source = archive.extractfile(member)
        files.write(path, source.read() if source is not None else b"", mode=member.mode or 0o644)
