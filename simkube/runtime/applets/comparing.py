"""``diff``: as busybox (always unified) or GNU (lines by number, ``-u`` unified) show it. Folders are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from difflib import SequenceMatcher

from simkube.runtime.applets.options import integer, parse
from simkube.runtime.applets.reading import content, open_operand
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process

MOST_LINES = 600
"""Lines between the first and the last difference that are compared."""

Block = tuple[str, int, int, int, int]
"""As difflib has them: what to do, and the lines from and to in either file."""


async def diff(process: Process) -> int:
    """``diff [-u] [-q] [-i] [-w] [-U LINES] FILE FILE``; 1 when they differ."""
    options = await parse(process, "uqiwbsBaN", "UL", long={"brief": "q", "unified": "u", "ignore-case": "i"})
    if len(options.operands) != 2:
        await process.err("diff: two files are needed\n")
        return 2
    texts = []
    for path in options.operands:
        stream = await open_operand(process, path, verb="")
        if stream is None:
            return 2
        data = await content(process, stream)
        texts.append(data.decode("utf-8", "surrogateescape").splitlines())
    folded = [[_folded(line, options.flags) for line in lines] for lines in texts]
    if folded[0] == folded[1]:
        if "s" in options:
            await process.out("Files {} and {} are identical\n".format(*options.operands))
        return 0
    if "q" in options:
        await process.out("Files {} and {} differ\n".format(*options.operands))
        return 1
    blocks = await _blocks(process, folded)
    if blocks is None:
        return 2
    if process.container.spec.flavour == "busybox" or "u" in options or "U" in options:
        context = integer(options.values.get("U", "3"))
        heads = [_head(process, mark, path) for mark, path in zip(("---", "+++"), options.operands, strict=True)]
        await process.out("".join(heads) + _unified(texts, blocks, 3 if context is None else max(0, context)))
    else:
        await process.out(_normal(texts, blocks))
    return 1


def _folded(line: str, flags: set[str]) -> str:
    line = line.lower() if "i" in flags else line
    return "".join(line.split()) if "w" in flags else " ".join(line.split()) if "b" in flags else line


async def _blocks(process: Process, lines: list[list[str]]) -> list[Block] | None:
    """The edit script; None after saying that it would be too long."""
    first, second = lines
    start = 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    end = 0
    while end < min(len(first), len(second)) - start and first[-1 - end] == second[-1 - end]:
        end += 1
    one, two = first[start : len(first) - end], second[start : len(second) - end]
    if max(len(one), len(two)) > MOST_LINES:
        await process.err(
            f"diff: more than {MOST_LINES} lines between the first and last difference are not simulated\n"
        )
        return None
    await process.work(5 + len(one) * len(two) / 500)
    found = [("equal", 0, start, 0, start)] if start else []
    matcher = SequenceMatcher(None, one, two, autojunk=False)
    found += [(tag, a + start, b + start, c + start, d + start) for tag, a, b, c, d in matcher.get_opcodes()]
    if end:
        found.append(("equal", len(first) - end, len(first), len(second) - end, len(second)))
    return found


def _head(process: Process, mark: str, path: str) -> str:
    if process.container.spec.flavour == "busybox":
        return f"{mark} {path}\n"
    try:
        mtime = process.container.files.node(process.resolve(path)).mtime
    except FileError:
        mtime = process.container.clock.now()
    return f"{mark} {path}\t{datetime.fromtimestamp(mtime, UTC):%Y-%m-%d %H:%M:%S.%f}000 +0000\n"


def _normal(texts: list[list[str]], blocks: list[Block]) -> str:
    found = []
    for tag, a, b, c, d in blocks:
        if tag == "equal":
            continue
        left = f"{a + 1},{b}" if b - a > 1 else str(b if tag == "delete" else a + 1 if tag == "replace" else a)
        right = f"{c + 1},{d}" if d - c > 1 else str(d if tag != "delete" else c)
        found.append(f"{left}{'acd'[('insert', 'replace', 'delete').index(tag)]}{right}\n")
        found.extend(f"< {line}\n" for line in texts[0][a:b])
        found.append("---\n" if tag == "replace" else "")
        found.extend(f"> {line}\n" for line in texts[1][c:d])
    return "".join(found)


def _unified(texts: list[list[str]], blocks: list[Block], context: int) -> str:
    found = []
    for group in _groups(blocks, context):
        a, b, c, d = group[0][1], group[-1][2], group[0][3], group[-1][4]
        found.append(f"@@ -{_span(a, b)} +{_span(c, d)} @@\n")
        for tag, one, two, three, four in group:
            if tag == "equal":
                found.extend(f" {line}\n" for line in texts[0][one:two])
                continue
            found.extend(f"-{line}\n" for line in texts[0][one:two])
            found.extend(f"+{line}\n" for line in texts[1][three:four])
    return "".join(found)


def _span(start: int, end: int) -> str:
    size = end - start
    return f"{start + 1}" if size == 1 else f"{start + 1 if size else start},{size}"


def _groups(blocks: list[Block], context: int) -> list[list[Block]]:
    """Changes with the lines around them, those near each other together."""
    groups: list[list[Block]] = [[]]
    for at, (tag, a, b, c, d) in enumerate(blocks):
        if tag != "equal":
            groups[-1].append((tag, a, b, c, d))
            continue
        before, after = at > 0, at < len(blocks) - 1
        if before and after and b - a <= 2 * context:
            groups[-1].append((tag, a, b, c, d))
            continue
        if before and context:
            groups[-1].append((tag, a, min(b, a + context), c, min(d, c + context)))
        if after:
            groups.append([(tag, max(a, b - context), b, max(c, d - context), d)] if context and a < b else [])
    return [group for group in groups if any(block[0] != "equal" for block in group)]
