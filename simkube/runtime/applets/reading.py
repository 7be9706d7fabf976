"""How applets read their operands: files by name, ``-`` or none for standard input, line by line."""

from __future__ import annotations

from collections.abc import AsyncIterator

from simkube.runtime.applets.options import name_of
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Exit, Process
from simkube.runtime.streams import Stream

MAX_CONTENT = 4 * 1024 * 1024
MAX_LINE = 256 * 1024


async def complain_file(process: Process, path: str, error: FileError, *, verb: str = "open") -> None:
    """``cat: can't open 'x': No such file or directory`` as busybox says it, or ``cat: x: ...`` as coreutils do."""
    name = name_of(process)
    if process.container.spec.flavour == "busybox" and verb:
        await process.err(f"{name}: can't {verb} '{path}': {error.strerror}\n")
    else:
        await process.err(f"{name}: {path}: {error.strerror}\n")


async def open_operand(process: Process, path: str, *, verb: str = "open") -> Stream | None:
    """A stream to read from (the caller releases it), or None after saying why not."""
    if path == "-":
        stream = process.fds.get(0)
        return stream.hold() if stream is not None else None
    try:
        return process.open_read(path)
    except FileError as error:
        await complain_file(process, path, error, verb=verb)
        return None


async def chunks(process: Process, stream: Stream) -> AsyncIterator[bytes]:
    """What a stream gives, released at its end."""
    try:
        while data := await stream.read():
            await process.work(0.5 + len(data) / 512)
            yield data
    finally:
        stream.release()


async def lines(process: Process, stream: Stream) -> AsyncIterator[str]:
    """The lines of a stream without their newlines, as they come."""
    rest = b""
    async for data in chunks(process, stream):
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "surrogateescape")
        if len(rest) > MAX_LINE:
            await process.err(f"{name_of(process)}: a line of more than {MAX_LINE // 1024} KiB is not simulated\n")
            raise Exit(2)
    if rest:
        yield rest.decode("utf-8", "surrogateescape")


async def content(process: Process, stream: Stream, most: int = MAX_CONTENT) -> bytes:
    """All of a stream, up to ``most`` bytes."""
    data = bytearray()
    async for part in chunks(process, stream):
        data += part
        if len(data) > most:
            await process.err(f"{name_of(process)}: more than {most >> 20} MiB of input are not simulated\n")
            raise Exit(2)
    return bytes(data)
