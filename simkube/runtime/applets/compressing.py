"""``gzip``, ``gunzip`` and ``zcat``. What is unpacked is bounded, whatever its head says."""

from __future__ import annotations

import gzip as codec
import zlib

from simkube.runtime.applets.options import name_of, parse
from simkube.runtime.applets.reading import MAX_CONTENT, content, open_operand
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process


def unpacked(data: bytes, most: int = MAX_CONTENT) -> bytes:
    """What a gzip file holds; ValueError when it is none, or holds more than ``most`` bytes."""
    found = bytearray()
    while data:
        reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            found += reader.decompress(data, most + 1 - len(found))
        except zlib.error:
            raise ValueError("not in gzip format") from None
        if reader.unconsumed_tail or len(found) > most:
            raise ValueError(f"more than {most >> 20} MiB are not simulated")
        if not reader.eof:
            raise ValueError("unexpected end of file")
        data = reader.unused_data.lstrip(b"\0")
    return bytes(found)


def packed(data: bytes) -> bytes:
    """A gzip file."""
    return codec.compress(data, mtime=0)


async def gzip(process: Process) -> int:
    """``gzip [-cdkf1-9] [FILE]...``, ``gunzip``, ``zcat``"""
    name = name_of(process)
    options = await parse(
        process, "cdkfqtnv123456789", long={"stdout": "c", "decompress": "d", "keep": "k", "force": "f"}
    )
    unpacking = "d" in options or "t" in options or name in ("gunzip", "zcat")
    status = 0
    for path in options.operands or ["-"]:
        to_output = "c" in options or name == "zcat" or path == "-"
        if unpacking and not to_output and not path.endswith((".gz", ".tgz")):
            await process.err(f"{name}: {path}: unknown suffix{' -- ignored' * (name != 'zcat')}\n")
            status = 1
            continue
        stream = await open_operand(process, path, verb="")
        if stream is None:
            status = 1
            continue
        data = await content(process, stream)
        try:
            data = unpacked(data) if unpacking else packed(data)
        except ValueError as error:
            await process.err(f"{name}: {path if path != '-' else 'stdin'}: {error}\n")
            status = 1
            continue
        if "t" in options:
            continue
        if to_output:
            await process.out(data)
        else:
            status = await _replace(process, path, data, unpacking=unpacking, keep="k" in options) or status
    return status


async def _replace(process: Process, path: str, data: bytes, *, unpacking: bool, keep: bool) -> int:
    target = path.removesuffix(".gz") if path.endswith(".gz") else path[:-4] + ".tar"
    target = target if unpacking else f"{path}.gz"
    try:
        stream = process.open_write(target)
        await stream.write(data)
        stream.release()
        if not keep:
            process.check_writable(process.resolve(path))
            process.container.files.remove(process.resolve(path))
    except FileError as error:
        await process.err(f"{name_of(process)}: {target}: {error.strerror}\n")
        return 1
    return 0
