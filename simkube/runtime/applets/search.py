"""``grep``, ``egrep``, ``fgrep``: lines that match a pattern, in bounded time."""

from __future__ import annotations

from simkube.runtime.applets.options import Options, integer, name_of, parse
from simkube.runtime.applets.reading import lines, open_operand
from simkube.runtime.nodes import Directory, FileError, Symlink
from simkube.runtime.process import Process
from simkube.runtime.regex import Regex, RegexError
from simkube.runtime.streams import Stream

MAX_LINE = 16 * 1024
_LONG = {"ignore-case": "i", "invert-match": "v", "count": "c", "quiet": "q", "silent": "q", "line-number": "n",
         "only-matching": "o", "extended-regexp": "E", "fixed-strings": "F", "recursive": "r", "no-messages": "s",
         "files-with-matches": "l", "word-regexp": "w", "line-regexp": "x", "no-filename": "h"}  # fmt: skip


class _Matcher:
    def __init__(self, options: Options, patterns: list[str], *, extended: bool, fixed: bool) -> None:
        self._options = options
        self._fold = "i" in options
        self._fixed = [pattern.lower() if self._fold else pattern for pattern in patterns] if fixed else None
        self._regexes = [] if fixed else [Regex(p, extended=extended, ignore_case=self._fold) for p in patterns]
        self.cost = sum(regex.cost for regex in self._regexes) / 40 + 0.2

    def spans(self, line: str) -> list[tuple[int, int]]:
        """Every match of a line, of the first pattern that has one."""
        if self._fixed is not None:
            subject = line.lower() if self._fold else line
            found = [self._fixed_spans(subject, text) for text in self._fixed]
        else:
            found = [self._regex_spans(line, regex) for regex in self._regexes]
        best = next((spans for spans in found if spans), [])
        if "x" in self._options:
            return [span for span in best if span == (0, len(line))]
        if "w" in self._options:
            return [span for span in best if _is_word(line, *span)]
        return best

    @staticmethod
    def _fixed_spans(line: str, text: str) -> list[tuple[int, int]]:
        at = line.find(text)
        return [] if at < 0 else [(at, at + len(text))]

    def _regex_spans(self, line: str, regex: Regex) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        at = 0
        while at <= len(line) and len(found) < 200:
            match = regex.search(line, at)
            if match is None:
                break
            found.append(match[0])
            if not ("o" in self._options or "w" in self._options):
                break
            at = match[0][1] if match[0][1] > match[0][0] else match[0][1] + 1
        return found


def _is_word(line: str, start: int, end: int) -> bool:
    before, after = line[start - 1 : start], line[end : end + 1]
    return not (before.isalnum() or before == "_") and not (after.isalnum() or after == "_")


async def grep(process: Process) -> int:
    """``grep [-EFivcqnolwxhrs] [-m N] [-A N] [-B N] [-C N] [-e PATTERN] PATTERN [FILE]...``"""
    options = await parse(process, "EFGivcqnolLwxhHrRsa", "emABC", long={**_LONG, "max-count": "m"})
    patterns = (
        options.values["e"].split("\n")
        if "e" in options
        else (options.operands.pop(0).split("\n") if options.operands else None)
    )
    if patterns is None:
        await process.err(f"{name_of(process)}: no pattern given\n")
        return 2
    name = name_of(process)
    try:
        extended = "E" in options or name == "egrep"
        matcher = _Matcher(options, patterns, extended=extended, fixed="F" in options or name == "fgrep")
    except RegexError as error:
        await process.err(f"{name}: bad regex '{patterns[0][:80]}': {error}\n")
        return 2
    paths = options.operands or ["-"]
    if "r" in options or "R" in options:
        paths = await _recursive(process, options.operands or ["."])
    named = (len(paths) > 1 or "H" in options or "r" in options or "R" in options) and "h" not in options
    matched, failed = False, False
    for path in paths:
        stream = await _open(process, path, quiet="s" in options)
        if stream is None:
            failed = True
            continue
        count = await _Search(process, options, matcher, path if named else "", path).run(stream)
        matched = matched or count > 0
        if matched and "q" in options:
            return 0
    return 2 if failed and not matched else int(not matched)


async def _open(process: Process, path: str, *, quiet: bool) -> Stream | None:
    if not quiet:
        return await open_operand(process, path, verb="")
    try:
        return process.open_read(path)
    except FileError:
        return None


async def _recursive(process: Process, roots: list[str]) -> list[str]:
    found = []
    files, gnu = process.container.files, process.container.spec.flavour == "debian"
    for root in roots:
        full = process.resolve(root)
        try:
            for path, node in files.walk(full):
                link = isinstance(node, Symlink) and (gnu or files.is_directory(path))
                if not isinstance(node, Directory) and not (link and path != full):
                    found.append(root + path[len(full) :])
        except FileError:
            found.append(root)
        await process.work(len(found))
    return found[:5000]


class _Search:
    """One file's search and output."""

    def __init__(self, process: Process, options: Options, matcher: _Matcher, prefix: str, path: str) -> None:
        self._process = process
        self._options = options
        self._matcher = matcher
        self._prefix = f"{prefix}:" if prefix else ""
        self._path = path
        both = options.values.get("C", "0")
        self._before = integer(options.values.get("B", both)) or 0
        self._after = integer(options.values.get("A", both)) or 0
        self._most = integer(options.values.get("m", "")) if "m" in options else None

    async def run(self, stream: Stream) -> int:
        """How many lines matched."""
        options = self._options
        count, number, show_until = 0, 0, 0
        recent: list[tuple[int, str]] = []
        quiet = "q" in options or "l" in options or "L" in options or "c" in options
        async for line in lines(self._process, stream):
            number += 1
            await self._process.work(self._matcher.cost * (1 + min(len(line), MAX_LINE) / 64))
            spans = self._matcher.spans(line[:MAX_LINE])
            if bool(spans) == ("v" in options):
                if number <= show_until and not quiet:
                    await self._show(number, line, "-")
                elif self._before:
                    recent = [*recent[-self._before + 1 :], (number, line)] if self._before > 1 else [(number, line)]
                continue
            count += 1
            if not quiet:
                for earlier, text in recent:
                    await self._show(earlier, text, "-")
                recent = []
                await self._matched(number, line, spans)
                show_until = number + self._after
            if "q" in options or (self._most is not None and count >= self._most):
                break
        await self._summary(count)
        return count

    async def _matched(self, number: int, line: str, spans: list[tuple[int, int]]) -> None:
        if "o" in self._options and "v" not in self._options:
            for start, end in spans:
                if end > start:
                    await self._show(number, line[start:end], ":")
        else:
            await self._show(number, line, ":")

    async def _show(self, number: int, text: str, mark: str) -> None:
        where = f"{number}{mark}" if "n" in self._options else ""
        await self._process.out(f"{self._prefix}{where}{text}\n")

    async def _summary(self, count: int) -> None:
        if "q" in self._options:
            return
        if "l" in self._options or "L" in self._options:
            if (count > 0) == ("l" in self._options):
                await self._process.out(f"{self._path}\n")
        elif "c" in self._options:
            await self._process.out(f"{self._prefix}{count}\n")
