"""Applets that rearrange lines: cut, sort, uniq, tr."""

from __future__ import annotations

from simkube.runtime.applets.options import integer, name_of, parse
from simkube.runtime.applets.printing import unescape
from simkube.runtime.applets.reading import lines, open_operand
from simkube.runtime.process import Exit, Process

MAX_LINES = 200_000


async def all_lines(process: Process, paths: list[str]) -> tuple[list[str], int]:
    """The lines of files one after the other, and the status: 1 when one could not be read."""
    found: list[str] = []
    status = 0
    for path in paths or ["-"]:
        stream = await open_operand(process, path)
        if stream is None:
            status = 1
            continue
        async for line in lines(process, stream):
            found.append(line)
            if len(found) > MAX_LINES:
                await process.err(f"{name_of(process)}: more than {MAX_LINES} lines are not simulated\n")
                raise Exit(1)
    return found, status


def _ranges(text: str) -> list[tuple[int, int]] | None:
    found = []
    for part in text.split(",")[:100]:
        first, dash, last = part.partition("-")
        start, end = integer(first or "1"), integer(last or "1000000") if dash else integer(first)
        if start is None or end is None or start < 1:
            return None
        found.append((start, end))
    return found


def _selected(items: list[str], ranges: list[tuple[int, int]]) -> list[str]:
    return [item for at, item in enumerate(items, 1) if any(first <= at <= last for first, last in ranges)]


async def cut(process: Process) -> int:
    """``cut -f LIST [-d C] [-s] | -c LIST | -b LIST``"""
    options = await parse(process, "sn", "dfcb")
    ranges = _ranges(options.values.get("f") or options.values.get("c") or options.values.get("b") or "")
    if ranges is None:
        await process.err("cut: expected a list of bytes, characters, or fields\n")
        return 1
    delimiter = options.values.get("d", "\t")
    status = 0
    for path in options.operands or ["-"]:
        stream = await open_operand(process, path)
        if stream is None:
            status = 1
            continue
        async for line in lines(process, stream):
            if "f" not in options:
                await process.out("".join(_selected(list(line), ranges)) + "\n")
            elif delimiter and delimiter in line:
                await process.out(delimiter.join(_selected(line.split(delimiter), ranges)) + "\n")
            elif "s" not in options:
                await process.out(line + "\n")
    return status


def _numeric(text: str) -> float:
    text = text.strip()
    end = 0
    while end < min(len(text), 30) and (text[end].isdigit() or text[end] in "+-."):
        end += 1
    try:
        return float(text[:end])
    except ValueError:
        return 0.0


async def sort(process: Process) -> int:
    """``sort [-nrufb] [-k N] [-t C] [FILE]...``"""
    options = await parse(process, "nrufbsc", "kto")
    for letter in "co":
        if letter in options:
            await process.err(f"sort: option -{letter} is not simulated\n")
            return 1
    found, status = await all_lines(process, options.operands)
    await process.work(len(found) / 4)
    field = options.values.get("k", "")
    number = integer(field.split(",")[0].rstrip("nr").split(".")[0]) if field else None
    if field and not number:
        await process.err(f"sort: bad field specification '{field}'\n")
        return 2
    separator = options.values.get("t")
    numeric = "n" in options or "n" in field

    def key(line: str) -> tuple[float | str, str]:
        part = line
        if number:
            parts = line.split(separator)
            part = (separator or " ").join(parts[number - 1 :] if "," not in field else parts[number - 1 : number])
        if "f" in options:
            part = part.upper()
        return (_numeric(part), "" if "s" in options else line) if numeric else (part, line)

    ordered = sorted(found, key=key, reverse="r" in options or "r" in field)
    if "u" in options:
        seen: set[object] = set()
        ordered = [line for line in ordered if not ((mark := key(line)[0]) in seen or seen.add(mark))]  # type: ignore[func-returns-value] # the idiom
    for start in range(0, len(ordered), 500):
        await process.out("".join(f"{line}\n" for line in ordered[start : start + 500]))
    return status


async def uniq(process: Process) -> int:
    """``uniq [-cdui] [FILE]``"""
    options = await parse(process, "cdui")
    found, status = await all_lines(process, options.operands[:1])
    groups: list[list[str]] = []
    for line in found:
        if groups and (groups[-1][0].lower() == line.lower() if "i" in options else groups[-1][0] == line):
            groups[-1].append(line)
        else:
            groups.append([line])
    for group in groups:
        if ("d" in options and len(group) == 1) or ("u" in options and len(group) > 1):
            continue
        await process.out(f"{len(group):7d} {group[0]}\n" if "c" in options else f"{group[0]}\n")
    return status


_CLASSES = {
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "lower": "abcdefghijklmnopqrstuvwxyz",
    "digit": "0123456789",
    "space": "\t\n\v\f\r ",
    "blank": "\t ",
    "punct": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
}
_CLASSES["alpha"] = _CLASSES["upper"] + _CLASSES["lower"]
_CLASSES["alnum"] = _CLASSES["digit"] + _CLASSES["alpha"]


def _characters(text: str) -> str:
    text = unescape(text[:1000], octal_needs_zero=False)[0]
    found: list[str] = []
    at = 0
    while at < len(text):
        end = text.find(":]", at)
        if text.startswith("[:", at) and end > 0 and text[at + 2 : end] in _CLASSES:
            found.append(_CLASSES[text[at + 2 : end]])
            at = end + 2
        elif text[at + 1 : at + 2] == "-" and at + 2 < len(text) and ord(text[at + 2]) - ord(text[at]) < 1000:
            found.append("".join(chr(code) for code in range(ord(text[at]), ord(text[at + 2]) + 1)))
            at += 3
        else:
            found.append(text[at])
            at += 1
    return "".join(found)


async def tr(process: Process) -> int:
    """``tr [-cds] SET1 [SET2]``"""
    options = await parse(process, "cCds")
    sets = [_characters(operand) for operand in options.operands]
    if not sets or len(sets) > 2 or (len(sets) == 1 and not ("d" in options or "s" in options)):
        await process.err("tr: missing operand\n")
        return 1
    complement = "c" in options or "C" in options
    first, second = sets[0], sets[-1] if len(sets) == 2 else ""
    squeeze = (second or first) if "s" in options else ""
    if second and "d" not in options:
        second += second[-1] * (len(first) - len(second))
    table = dict(zip(first, second, strict=False)) if second and "d" not in options else {}
    chosen = set(first)
    previous = ""
    while data := await process.read():
        kept = []
        for char in data.decode("utf-8", "surrogateescape"):
            inside = (char in chosen) != complement
            if "d" in options and inside:
                continue
            new = (second[-1] if complement else table[char]) if inside and second and "d" not in options else char
            if squeeze and new == previous and ((new in squeeze) != (complement and not second)):
                continue
            kept.append(new)
            previous = new
        await process.out("".join(kept))
    return 0
