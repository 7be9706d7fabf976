"""Lines that a shell or its ``read`` takes from a file descriptor."""

from __future__ import annotations

from simkube.runtime.process import Process

MAX_INPUT = 64 * 1024


async def read_line(process: Process, fd: int = 0, most: int = MAX_INPUT) -> str | None:
    """One line with its newline from a file descriptor, read byte by byte so that nothing more is taken; None at the
    end.
    """
    stream = process.fds.get(fd)
    data = bytearray()
    while stream is not None and len(data) < most:
        byte = await stream.read(1)
        if not byte:
            break
        data += byte
        if byte == b"\n":
            break
        if len(data) % 256 == 0:
            await process.work(4)
    await process.work(1 + len(data) % 256 / 64)
    return data.decode("utf-8", "surrogateescape") if data else None
