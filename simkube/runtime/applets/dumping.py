"""``hexdump``, ``od``, ``xxd``, ``strings``, ``cmp`` and ``split``: the bytes of files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from simkube.runtime.applets.options import integer, name_of, parse
from simkube.runtime.applets.reading import content, open_operand
from simkube.runtime.process import Process

MOST = 1 << 20
MOST_PIECES = 676
_NAMED = {0: "\\0", 7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r"}


async def _bytes(process: Process, paths: list[str]) -> bytes | None:
    """What the files hold one after the other; None after saying which cannot be read."""
    found = b""
    for path in paths or ["-"]:
        stream = await open_operand(process, path, verb="")
        if stream is None:
            return None
        found += await content(process, stream, MOST)
    return found


def _rows(data: bytes) -> Iterator[tuple[int, bytes]]:
    for at in range(0, len(data), 16):
        yield at, data[at : at + 16]


def _plain(row: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)


async def hexdump(process: Process) -> int:
    """``hexdump -C [-n LENGTH] [FILE]...``; the form without ``-C`` is refused."""
    options = await parse(process, "Cv", "n", long={"canonical": "C"})
    if "C" not in options and name_of(process) == "hexdump":
        await process.err("hexdump: only -C is simulated\n")
        return 1
    data = await _bytes(process, options.operands)
    if data is None:
        return 1
    data = data[: integer(options.values.get("n", "")) or len(data)]
    for at, row in _rows(data):
        cells = [f"{byte:02x}" for byte in row]
        halves = f"{' '.join(cells[:8]):<23}  {' '.join(cells[8:]):<23}"
        await process.out(f"{at:08x}  {halves}  |{_plain(row)}|\n")
    await process.out(f"{len(data):08x}\n" if data else "")
    return 0


async def xxd(process: Process) -> int:
    """``xxd [-p] [-l LENGTH] [FILE]``"""
    options = await parse(process, "p", "l")
    data = await _bytes(process, options.operands[:1])
    if data is None:
        return 1
    data = data[: integer(options.values.get("l", "")) or len(data)]
    if "p" in options:
        await process.out("".join(f"{data[at : at + 30].hex()}\n" for at in range(0, len(data), 30)))
        return 0
    for at, row in _rows(data):
        pairs = " ".join(row[start : start + 2].hex() for start in range(0, len(row), 2))
        await process.out(f"{at:08x}: {pairs:<39}  {_plain(row)}\n")
    return 0


async def od(process: Process) -> int:
    """``od -c | -x | -An -tx1 [FILE]...``: characters or bytes."""
    options = await parse(process, "cv", "AtjN")
    data = await _bytes(process, options.operands)
    if data is None:
        return 1
    if "c" not in options and options.values.get("t") not in ("x1", "c"):
        await process.err("od: only -c and -t x1 are simulated\n")
        return 1
    shown = options.values.get("A") != "n"
    for at, row in _rows(data[: integer(options.values.get("N", "")) or len(data)]):
        if "c" in options or options.values.get("t") == "c":
            cells = [_NAMED.get(byte, chr(byte) if 32 <= byte < 127 else f"{byte:03o}") for byte in row]
            text = "".join(f" {cell:>3}" for cell in cells)
        else:
            text = "".join(f" {byte:02x}" for byte in row)
        await process.out((f"{at:07o}" if shown else "") + f"{text}\n")
    await process.out(f"{len(data):07o}\n" if shown else "")
    return 0


async def strings(process: Process) -> int:
    """``strings [-n LENGTH] [FILE]...``"""
    options = await parse(process, "a", "n")
    data = await _bytes(process, options.operands)
    if data is None:
        return 1
    least = max(1, min(100, integer(options.values.get("n", "4")) or 4))
    found = re.findall(rb"[\t\x20-\x7e]{%d,}" % least, data)
    await process.out("".join(one.decode() + "\n" for one in found))
    return 0


async def cmp(process: Process) -> int:
    """``cmp [-s] FILE FILE``; 1 when they differ."""
    options = await parse(process, "sl")
    if len(options.operands) != 2:
        await process.err("cmp: two files are needed\n")
        return 2
    first, second = [await _bytes(process, [path]) for path in options.operands]
    if first is None or second is None:
        return 2
    if first == second:
        return 0
    names = options.operands
    shared = min(len(first), len(second))
    at = next((place for place in range(shared) if first[place] != second[place]), None)
    if "s" not in options and at is None:
        await process.err(f"cmp: EOF on {names[0] if len(first) < len(second) else names[1]}\n")
    elif "s" not in options and at is not None:
        line = first.count(b"\n", 0, at) + 1
        await process.out(f"{names[0]} {names[1]} differ: char {at + 1}, line {line}\n")
    return 1


async def split(process: Process) -> int:
    """``split [-l LINES | -b BYTES] [FILE [PREFIX]]``"""
    options = await parse(process, "", "lb")
    data = await _bytes(process, options.operands[:1])
    if data is None:
        return 1
    prefix = options.operands[1] if len(options.operands) > 1 else "x"
    if "b" in options:
        text, factor = options.values["b"].lower(), 1
        for unit, size in (("k", 1024), ("m", 1 << 20)):
            text, factor = (text[:-1], size) if text.endswith(unit) else (text, factor)
        size = (integer(text) or 0) * factor
        pieces = [data[at : at + size] for at in range(0, len(data), size)] if size > 0 else []
    else:
        size = integer(options.values.get("l", "1000")) or 0
        rows = data.splitlines(keepends=True)
        pieces = [b"".join(rows[at : at + size]) for at in range(0, len(rows), size)] if size > 0 else []
    if size <= 0 or len(pieces) > MOST_PIECES:
        await process.err("split: invalid number, or more pieces than are simulated\n")
        return 1
    for number, piece in enumerate(pieces):
        stream = process.open_write(prefix + chr(97 + number // 26) + chr(97 + number % 26))
        await stream.write(piece)
        stream.release()
    return 0
