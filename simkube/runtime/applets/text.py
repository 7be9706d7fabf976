"""Applets that show and count text: cat, tac, head, tail, wc, tee."""

from __future__ import annotations

from collections import deque

from simkube.runtime.applets.options import integer, name_of, parse
from simkube.runtime.applets.reading import chunks, content, lines, open_operand
from simkube.runtime.nodes import File, FileError
from simkube.runtime.process import Process
from simkube.runtime.streams import DeviceStream, FileStream, Stream

POLL = 1.0
"""Seconds between looks at a file that ``tail -f`` follows."""


async def cat(process: Process) -> int:
    """``cat [-n] [FILE]...``"""
    options = await parse(process, "nuvAe")
    status, number = 0, 0
    for path in options.operands or ["-"]:
        stream = await open_operand(process, path)
        if stream is None:
            status = 1
        elif "n" in options:
            async for line in lines(process, stream):
                number += 1
                await process.out(f"{number:6d}\t{line}\n")
        else:
            await _copy(process, path, stream)
    return status


async def _copy(process: Process, path: str, stream: Stream) -> None:
    async for data in chunks(process, stream):
        await process.out(data)


async def tac(process: Process) -> int:
    """``tac [FILE]...``"""
    status = 0
    for path in process.argv[1:] or ["-"]:
        stream = await open_operand(process, path)
        if stream is None:
            status = 1
            continue
        found = [line async for line in lines(process, stream)]
        await process.out("".join(f"{line}\n" for line in reversed(found)))
    return status


def _old_style(process: Process) -> None:
    """``head -5`` is ``head -n 5``."""
    argv = process.argv
    if len(argv) > 1 and argv[1][:1] == "-" and argv[1][1:].isdecimal():
        process.argv = [argv[0], "-n", argv[1][1:], *argv[2:]]


async def _count(process: Process, text: str) -> int | None:
    count = integer(text)
    if count is None:
        await process.err(f"{name_of(process)}: invalid number '{text}'\n")
    return count


async def head(process: Process) -> int:
    """``head [-n N | -c N] [FILE]...``"""
    _old_style(process)
    options = await parse(process, "qv", "nc", long={"lines": "n", "bytes": "c"})
    count = await _count(process, options.values.get("c", options.values.get("n", "10")))
    if count is None:
        return 1
    status = 0
    paths = options.operands or ["-"]
    for at, path in enumerate(paths):
        stream = await open_operand(process, path)
        if stream is None:
            status = 1
            continue
        if len(paths) > 1 and "q" not in options:
            await process.out(("\n" if at else "") + f"==> {path} <==\n")
        if "c" in options:
            await process.out((await content(process, stream))[: max(0, count)])
        else:
            await _first_lines(process, stream, count)
    return status


async def _first_lines(process: Process, stream: Stream, count: int) -> None:
    shown = 0
    if count < 0:
        found = [line async for line in lines(process, stream)]
        await process.out("".join(f"{line}\n" for line in found[:count]))
        return
    while shown < count:
        data = await stream.read(512)
        if not data:
            break
        pieces = data.split(b"\n")[: count - shown]
        whole = b"\n".join(pieces)
        newlines = min(data.count(b"\n"), count - shown)
        await process.out(data if newlines < count - shown else whole + b"\n")
        shown += newlines
    stream.release()


async def tail(process: Process) -> int:
    """``tail [-n N | -c N] [-f | -F] [FILE]...``; ``-F`` waits for files that are not there yet."""
    _old_style(process)
    options = await parse(process, "fFqv", "ncs", long={"lines": "n", "follow": "f", "bytes": "c"})
    text = options.values.get("c", options.values.get("n", "10"))
    count = await _count(process, text)
    if count is None:
        return 1
    status = 0
    following: list[tuple[str, FileStream]] = []
    missing: list[str] = []
    paths = options.operands or ["-"]
    for at, path in enumerate(paths):
        stream = await open_operand(process, path)
        if stream is None:
            status = 1
            missing.append(path)
            continue
        if len(paths) > 1 and "q" not in options:
            await process.out(("\n" if at else "") + f"==> {path} <==\n")
        if isinstance(stream, FileStream):
            following.append((path, stream))
            stream.hold()
        await _last(process, stream, abs(count), from_start=text.startswith("+"), in_bytes="c" in options)
    if "F" in options or ("f" in options and (following or paths == ["/dev/null"])):
        await _follow(process, following, missing if "F" in options else [])
    return status


async def _endless(process: Process) -> None:
    """The end of what has none: it reads on and keeps it all, until it is killed."""
    while True:
        await process.burn(0.02)
        await process.allocate(16 << 20)


async def _last(process: Process, stream: Stream, count: int, *, from_start: bool, in_bytes: bool) -> None:
    if isinstance(stream, DeviceStream) and stream.endless:
        await _endless(process)
    if in_bytes:
        data = await content(process, stream)
        start = max(0, count - 1) if from_start else max(0, len(data) - count)
        await process.out(data[start:])
        return
    number = 0
    kept: deque[str] = deque(maxlen=None if from_start else min(count, 100_000))
    async for line in lines(process, stream):
        number += 1
        if not from_start or number >= count:
            kept.append(line)
    await process.out("".join(f"{line}\n" for line in kept))


async def _appeared(process: Process, missing: list[str]) -> list[tuple[str, FileStream]]:
    """Those of the missing files that are there by now; they are missing no more."""
    found = []
    for path in list(missing):
        try:
            stream = process.open_read(path)
        except FileError:
            continue
        missing.remove(path)
        if isinstance(stream, FileStream):
            busybox = process.container.spec.flavour == "busybox"
            told = f"{path} has appeared; following end of new" if busybox else f"'{path}' has appeared;  following new"
            await process.err(f"tail: {told} file\n")
            found.append((path, stream))
    return found


async def _follow(process: Process, following: list[tuple[str, FileStream]], missing: list[str]) -> None:
    while True:
        await process.sleep(POLL)
        following += await _appeared(process, missing)
        for path, stream in following:
            files = process.container.files
            try:
                node = files.node(process.resolve(path))
            except FileError:
                continue
            if node is not stream.file and isinstance(node, File):
                stream.file, stream.position = node, 0
            if stream.position > len(stream.file.data):
                stream.position = 0
            while data := await stream.read():
                await process.out(data)


async def wc(process: Process) -> int:
    """``wc [-lwcm] [FILE]...``"""
    options = await parse(process, "lwcm")
    shown = [letter for letter in "lwcm" if letter in options] or ["l", "w", "c"]
    total = dict.fromkeys("lwcm", 0)
    status = 0
    busybox = process.container.spec.flavour == "busybox"
    found: list[tuple[dict[str, int], str]] = []
    for path in options.operands or ["-"]:
        stream = await open_operand(process, path)
        if stream is None:
            status = 1
            continue
        data = await content(process, stream)
        counts = {
            "l": data.count(b"\n"),
            "w": len(data.split()),
            "c": len(data),
            "m": len(data.decode("utf-8", "replace")),
        }
        for letter, value in counts.items():
            total[letter] += value
        found.append((counts, path if options.operands else ""))
    if len(found) > 1:
        found.append((total, "total"))
    width = 9 if busybox else max([len(str(value)) for value in total.values()] or [1]) if options.operands else 7
    for counts, name in found:
        numbers = [counts[letter] for letter in shown]
        if len(numbers) == 1 and len(found) == 1:
            text = str(numbers[0])
        else:
            text = " ".join(f"{number:{width}d}" for number in numbers)
        await process.out(f"{text} {name}".rstrip() + "\n")
    return status


async def tee(process: Process) -> int:
    """``tee [-a] [FILE]...``"""
    options = await parse(process, "ai")
    targets: list[Stream] = []
    status = 0
    for path in options.operands:
        try:
            targets.append(process.open_write(path, append="a" in options))
        except FileError as error:
            await process.err(f"tee: {path}: {error.strerror}\n")
            status = 1
    while data := await process.read():
        for target in targets:
            await target.write(data)
        await process.out(data)
    for target in targets:
        target.release()
    return status
