"""``sed``: s, y, d, p, q, n, a, i, c, =, with line, regex and ``$`` addresses, ranges and ``!``; -n, -e, -E, -i.

Labels, the hold space and other commands are refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass

from simkube.runtime.applets.options import parse
from simkube.runtime.applets.reading import content, open_operand
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.regex import Regex, RegexError

MAX_COMMANDS = 100
MAX_LINE = 64 * 1024

Address = int | str | Regex


class SedError(Exception):
    """A script that is wrong or not simulated."""


@dataclass(slots=True)
class Command:
    """One command: addresses, whether they are negated, its letter and arguments."""

    first: Address | None
    last: Address | None
    negated: bool
    letter: str
    regex: Regex | None = None
    text: str = ""
    flags: str = ""
    number: int = 1
    active: bool = False


class _Reader:
    """Reads a script."""

    def __init__(self, script: str, *, extended: bool) -> None:
        self._script = script
        self._extended = extended
        self._at = 0

    def commands(self) -> list[Command]:
        """Every command of the script."""
        found: list[Command] = []
        while True:
            while self._peek() in (" ", "\t", "\n", ";"):
                self._at += 1
            if not self._peek():
                return found
            if self._peek() == "#":
                end = self._script.find("\n", self._at)
                self._at = len(self._script) if end < 0 else end
                continue
            found.append(self._command())
            if len(found) > MAX_COMMANDS:
                raise SedError("script too long for this simulation")

    def _peek(self) -> str:
        return self._script[self._at : self._at + 1]

    def _take(self) -> str:
        char = self._peek()
        self._at += 1
        return char

    def _command(self) -> Command:
        first = self._address()
        last = None
        if first is not None and self._peek() == ",":
            self._at += 1
            last = self._address()
            if last is None:
                raise SedError("unexpected ','")
        while self._peek() == " ":
            self._at += 1
        negated = self._peek() == "!"
        if negated:
            self._at += 1
        letter = self._take()
        command = Command(first, last, negated, letter)
        if letter == "s":
            self._substitution(command)
        elif letter == "y":
            mark = self._take()
            command.text, command.flags = self._until(mark), self._until(mark)
            if len(command.text) != len(command.flags):
                raise SedError("strings for 'y' command are different lengths")
        elif letter in ("a", "i", "c"):
            self._text(command)
        elif not letter or letter not in "dpqn=":
            raise SedError(f"command '{letter}' is not simulated")
        return command

    def _address(self) -> Address | None:
        char = self._peek()
        if char == "$":
            self._at += 1
            return "$"
        if char.isdigit():
            start = self._at
            while self._peek().isdigit():
                self._at += 1
            return int(self._script[start : self._at][:9])
        if char in ("/", "\\") and char:
            self._at += 1
            mark = self._take() if char == "\\" else "/"
            return self._regex(self._until(mark, keep_escapes=True), fold=False)
        return None

    def _regex(self, text: str, *, fold: bool) -> Regex:
        try:
            return Regex(text, extended=self._extended, ignore_case=fold)
        except RegexError as error:
            raise SedError(str(error)) from None

    def _until(self, mark: str, *, keep_escapes: bool = False) -> str:
        found: list[str] = []
        inside = False
        while True:
            char = self._take()
            if not char:
                raise SedError("unterminated command")
            if char == "\\" and self._peek():
                following = self._take()
                if following == mark:
                    found.append(following)
                elif following == "n" and not keep_escapes:
                    found.append("\n")
                else:
                    found.append("\\" + following)
                continue
            if keep_escapes and char == "[":
                inside = True
            elif keep_escapes and char == "]":
                inside = False
            if char == mark and not (inside and keep_escapes and "]" in self._script[self._at :]):
                return "".join(found)
            found.append(char)

    def _substitution(self, command: Command) -> None:
        mark = self._take()
        if not mark or mark in "\\\n":
            raise SedError("bad delimiter")
        pattern = self._until(mark, keep_escapes=True)
        command.text = self._replacement(mark)
        while self._peek() and self._peek() in "gpiI0123456789":
            flag = self._take()
            if flag.isdigit():
                command.number = max(1, int(flag))
            else:
                command.flags += flag.lower()
        if self._peek() not in ("", ";", "\n", " ", "}"):
            raise SedError(f"option '{self._peek()}' of s is not simulated")
        command.regex = self._regex(pattern, fold="i" in command.flags)

    def _replacement(self, mark: str) -> str:
        found: list[str] = []
        while True:
            char = self._take()
            if not char:
                raise SedError("unterminated 's' command")
            if char == "\\":
                following = self._take()
                found.append(following if following == mark and mark not in "&123456789" else "\\" + following)
            elif char == mark:
                return "".join(found)
            else:
                found.append(char)

    def _text(self, command: Command) -> None:
        while self._peek() == " ":
            self._at += 1
        if self._peek() == "\\":
            self._at += 1
            while self._peek() in (" ", "\n") and self._peek():
                self._at += 1
        end = self._script.find("\n", self._at)
        end = len(self._script) if end < 0 else end
        command.text = self._script[self._at : end]
        self._at = end


async def sed(process: Process) -> int:
    """``sed [-nE] [-i] SCRIPT [FILE]...``"""
    options = await parse(
        process, "nErsi", "ef", long={"expression": "e", "quiet": "n", "silent": "n", "in-place": "i"}
    )
    if "f" in options:
        await process.err("sed: option -f is not simulated\n")
        return 1
    script = options.values["e"] if "e" in options else (options.operands.pop(0) if options.operands else None)
    if script is None:
        await process.err("sed: no script given\n")
        return 1
    status = 0
    try:
        commands = _Reader(script, extended="E" in options or "r" in options).commands()
    except SedError as error:
        await process.err(f"sed: {error}\n")
        return 1
    data = b""
    for path in options.operands or ["-"]:
        stream = await open_operand(process, path, verb="")
        if stream is None:
            status = 1
            continue
        piece = await content(process, stream)
        if "i" not in options:
            data += piece
            continue
        text = await _Editor(process, commands, quiet="n" in options).run(piece)
        try:
            process.check_writable(process.resolve(path))
            process.container.files.write(process.resolve(path), text.encode("utf-8", "surrogateescape"))
        except FileError as error:
            await process.err(f"sed: couldn't open temporary file {path}: {error.strerror}\n")
            status = 4
    if "i" not in options and (data or status == 0):
        await process.out(await _Editor(process, commands, quiet="n" in options).run(data))
    return status


class _Editor:
    """Runs the commands over all lines."""

    def __init__(self, process: Process, commands: list[Command], *, quiet: bool) -> None:
        self._process = process
        self._commands = commands
        self._quiet = quiet
        self._out: list[str] = []
        self._line = ""
        self._number = 0
        self._total = 0
        self._after: list[str] = []
        self._quit = False
        for command in commands:
            command.active = False

    async def run(self, data: bytes) -> str:
        """The edited text."""
        text = data.decode("utf-8", "surrogateescape")
        ended = text.endswith("\n")
        lines = text.split("\n")[: -1 if ended else None] if text else []
        self._total = len(lines)
        for number, line in enumerate(lines, 1):
            self._number, self._line, self._after = number, line[:MAX_LINE], []
            printed = await self._cycle()
            if printed and not self._quiet:
                self._out.append(self._line + "\n")
            self._out.extend(self._after)
            if self._quit:
                break
        result = "".join(self._out)
        return result if ended or not result.endswith("\n") or self._after else result[:-1]

    async def _cycle(self) -> bool:
        """One line; whether it is printed at the end."""
        for command in self._commands:
            await self._process.work(
                0.3 + (command.regex.cost * len(self._line) / 2000 if command.regex is not None else 0)
            )
            if self._applies(command) == command.negated:
                continue
            letter = command.letter
            if letter == "d":
                return False
            if letter == "c":
                self._out.append(command.text + "\n")
                return False
            if letter == "q":
                self._quit = True
                return True
            if letter == "n":
                return True
            self._edit(command, letter)
        return True

    def _edit(self, command: Command, letter: str) -> None:
        if letter == "p":
            self._out.append(self._line + "\n")
        elif letter == "=":
            self._out.append(f"{self._number}\n")
        elif letter == "a":
            self._after.append(command.text + "\n")
        elif letter == "i":
            self._out.append(command.text + "\n")
        elif letter == "y":
            self._line = self._line.translate(str.maketrans(command.text, command.flags))
        elif self._substitute(command) and "p" in command.flags:
            self._out.append(self._line + "\n")

    def _applies(self, command: Command) -> bool:
        if command.first is None:
            return True
        if command.last is None:
            return self._at(command.first)
        if command.active:
            if self._at(command.last) or (isinstance(command.last, int) and self._number >= command.last):
                command.active = False
                return not (isinstance(command.last, int) and self._number > command.last)
            return True
        if self._at(command.first):
            command.active = not (isinstance(command.last, int) and command.last <= self._number)
            return True
        return False

    def _at(self, address: Address) -> bool:
        if isinstance(address, int):
            return self._number == address
        if isinstance(address, str):
            return self._number == self._total
        return address.search(self._line) is not None

    def _substitute(self, command: Command) -> bool:
        assert command.regex is not None
        line, found, at, count, size = self._line, [], 0, 0, 0
        copied = 0
        while at <= len(line) and size < MAX_LINE:
            match = command.regex.search(line, at)
            if match is None:
                break
            start, end = match[0]
            count += 1
            if count >= command.number:
                text = _expanded(command.text, line, match)
                found.append(line[copied:start] + text)
                size += len(found[-1])
                copied = end
                if "g" not in command.flags:
                    break
            at = end if end > start else end + 1
        if not found:
            return False
        self._line = ("".join(found) + line[copied:])[:MAX_LINE]
        return True


def _expanded(template: str, line: str, match: list[tuple[int, int]]) -> str:
    found: list[str] = []
    skip = False
    for char in template:
        if skip:
            skip = False
            if char.isdigit():
                group = int(char)
                if group < len(match) and match[group][0] >= 0:
                    found.append(line[match[group][0] : match[group][1]])
            else:
                found.append({"n": "\n", "t": "\t"}.get(char, char))
        elif char == "\\":
            skip = True
        elif char == "&":
            found.append(line[match[0][0] : match[0][1]])
        else:
            found.append(char)
    return "".join(found)
