"""Applets that number, join, fold and compare lines: nl, paste, fold, comm, shuf."""

from __future__ import annotations

import random
from itertools import zip_longest

from simkube.runtime.applets.columns import all_lines
from simkube.runtime.applets.options import integer, parse
from simkube.runtime.process import Process

_RANDOM = random.Random()  # noqa: S311 - no secrets


async def nl(process: Process) -> int:
    """``nl [-b a|t] [-w WIDTH] [-s SEPARATOR] [FILE]...``"""
    options = await parse(process, "", "bwsvn")
    found, status = await all_lines(process, options.operands)
    width, mark = integer(options.values.get("w", "6")) or 6, options.values.get("s", "\t")
    number = integer(options.values.get("v", "1")) or 1
    for line in found:
        if line or options.values.get("b") == "a":
            await process.out(f"{number:>{min(width, 20)}}{mark}{line}\n")
            number += 1
        else:
            await process.out(" " * (min(width, 20) + len(mark)) + "\n")
    return status


async def paste(process: Process) -> int:
    """``paste [-s] [-d DELIMITERS] [FILE]...``"""
    options = await parse(process, "s", "d", long={"serial": "s", "delimiters": "d"})
    mark = options.values.get("d", "\t").replace("\\n", "\n").replace("\\t", "\t")[:1]
    columns, status = [], 0
    for path in options.operands or ["-"]:
        found, code = await all_lines(process, [path])
        columns.append(found)
        status = status or code
    if "s" in options:
        await process.out("".join(mark.join(column) + "\n" for column in columns))
    else:
        await process.out("".join(mark.join(row) + "\n" for row in zip_longest(*columns, fillvalue="")))
    return status


async def fold(process: Process) -> int:
    """``fold [-w WIDTH] [FILE]...``"""
    options = await parse(process, "sb", "w", long={"width": "w"})
    width = max(1, integer(options.values.get("w", "80")) or 80)
    found, status = await all_lines(process, options.operands)
    for line in found:
        pieces = [line[at : at + width] for at in range(0, len(line), width)] or [""]
        await process.out("".join(f"{piece}\n" for piece in pieces))
    return status


async def comm(process: Process) -> int:
    """``comm [-123] FILE FILE`` of sorted files."""
    options = await parse(process, "123")
    if len(options.operands) != 2:
        await process.err("comm: two files are needed\n")
        return 1
    first, code = await all_lines(process, options.operands[:1])
    second, other = await all_lines(process, options.operands[1:])
    one = two = 0
    while one < len(first) or two < len(second):
        await process.work(0.1)
        if two == len(second) or (one < len(first) and first[one] < second[two]):
            column, line, one = "1", first[one], one + 1
        elif one == len(first) or second[two] < first[one]:
            column, line, two = "2", second[two], two + 1
        else:
            column, line, one, two = "3", first[one], one + 1, two + 1
        if column not in options:
            before = sum(number < column and number not in options for number in "123")
            await process.out("\t" * before + f"{line}\n")
    return code or other


async def shuf(process: Process) -> int:
    """``shuf [-n COUNT] [-i LOW-HIGH] [-e WORD...] [FILE]``"""
    options = await parse(process, "e", "ni", long={"head-count": "n", "input-range": "i", "echo": "e"})
    status = 0
    if "i" in options:
        low, _, high = options.values["i"].partition("-")
        first, last = integer(low), integer(high)
        if first is None or last is None or last - first > 100_000:
            await process.err(f"shuf: invalid input range: '{options.values['i']}'\n")
            return 1
        found = [str(number) for number in range(first, last + 1)]
    elif "e" in options:
        found = options.operands
    else:
        found, status = await all_lines(process, options.operands[:1])
    _RANDOM.shuffle(found)
    count = integer(options.values.get("n", ""))
    await process.out("".join(f"{line}\n" for line in found[: len(found) if count is None else max(0, count)]))
    return status
