"""``awk``: fields, variables, arrays, control flow, regular expressions and the usual functions (see
:mod:`~simkube.runtime.applets.awk_program` for what is refused). Every step costs work; values are bounded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from simkube.runtime.applets.awk_program import AwkError, Node, Program, read
from simkube.runtime.applets.awk_values import (
    Value,
    applied,
    bounded,
    calculated,
    compared,
    formatted,
    is_true,
    put_in,
    to_number,
    to_text,
)
from simkube.runtime.applets.options import parse
from simkube.runtime.applets.printing import unescape
from simkube.runtime.applets.reading import lines, open_operand
from simkube.runtime.process import Process
from simkube.runtime.regex import Regex, RegexError

MAX_ELEMENTS = 50_000


class _Jump(Exception):
    """``next``, ``break``, ``continue``, ``exit``."""

    def __init__(self, kind: str, code: int = 0) -> None:
        super().__init__(kind)
        self.kind = kind
        self.code = code


async def awk(process: Process) -> int:
    """``awk [-F S] [-v NAME=VALUE] PROGRAM [FILE]...``"""
    options = await parse(process, "", "Fvf", stop_early=True)
    if "f" in options or not options.operands:
        await process.err(
            "awk: -f is not simulated\n" if "f" in options else "usage: awk [-F fs] [-v var=value] 'prog' [file ...]\n"
        )
        return 2
    try:
        machine = _Machine(process, read(options.operands[0]))
        if "F" in options:
            separator = options.values["F"]
            machine.variables["FS"] = "\t" if separator == "t" else unescape(separator, octal_needs_zero=False)[0]
        for before, word in zip(process.argv, process.argv[1:], strict=False):
            if before == "-v" and "=" in word:
                name, _, text = word.partition("=")
                machine.variables[name] = unescape(text, octal_needs_zero=False)[0]
        return await machine.run(options.operands[1:])
    except (AwkError, RegexError, RecursionError) as error:
        await process.err(f"awk: {error}\n")
        return 2


class _Machine:
    def __init__(self, process: Process, program: Program) -> None:
        self._process = process
        self._program = program
        self.variables: dict[str, Value] = {"FS": " ", "OFS": " ", "ORS": "\n", "SUBSEP": "\x1c", "NR": 0.0, "FNR": 0.0}
        self._arrays: dict[str, dict[str, Value]] = {"ENVIRON": dict(process.env)}
        self._line = ""
        self._fields: list[str] = []
        self._within: set[int] = set()
        self._regexes: dict[str, Regex] = {}

    async def run(self, paths: list[str]) -> int:
        """The exit code."""
        code = 0
        try:
            for each in self._program.begin:
                await self._do(each)
            if self._program.rules or self._program.end:
                code = await self._read(paths)
        except _Jump as jump:
            if jump.kind == "exit":
                code = jump.code
                if jump.code or not self._program.end:
                    return code
        try:
            for each in self._program.end:
                await self._do(each)
        except _Jump as jump:
            code = jump.code
        return code

    async def _read(self, paths: list[str]) -> int:
        status = 0
        for path in paths or ["-"]:
            name, equals, text = path.partition("=")
            if equals and name.isidentifier():
                self.variables[name] = text
                continue
            stream = await open_operand(self._process, path)
            if stream is None:
                status = 2
                continue
            self.variables["FNR"] = 0.0
            self.variables["FILENAME"] = "" if path == "-" else path
            await self._lines(lines(self._process, stream))
        return status

    async def _lines(self, found: AsyncIterator[str]) -> None:
        async for line in found:
            self.variables["NR"] = to_number(self.variables["NR"]) + 1
            self.variables["FNR"] = to_number(self.variables["FNR"]) + 1
            self._set_line(line)
            try:
                for at, (patterns, action) in enumerate(self._program.rules):
                    if await self._chosen(at, patterns):
                        await self._do(action)
            except _Jump as jump:
                if jump.kind == "exit":
                    raise

    async def _chosen(self, at: int, patterns: list[Node]) -> bool:
        if len(patterns) < 2:
            return not patterns or is_true(await self._value(patterns[0]))
        if at not in self._within and not is_true(await self._value(patterns[0])):
            return False
        self._within.add(at)
        if is_true(await self._value(patterns[1])):
            self._within.discard(at)
        return True

    # -- lines and fields ------------------------------------------------------------------------------------------

    def _set_line(self, line: str) -> None:
        self._line = line
        self._fields = self._split(line, to_text(self.variables["FS"]))
        self.variables["NF"] = float(len(self._fields))

    def _split(self, text: str, separator: str) -> list[str]:
        if separator == " ":
            return text.split()
        if not text:
            return []
        if len(separator) <= 1:
            return text.split(separator) if separator else list(text)
        found: list[str] = []
        at, regex = 0, self._regex(separator)
        while (match := regex.search(text, at)) is not None and match[0][1] > match[0][0] and len(found) < 1000:
            found.append(text[at : match[0][0]])
            at = match[0][1]
        return [*found, text[at:]]

    def _regex(self, pattern: str) -> Regex:
        if pattern not in self._regexes:
            if len(self._regexes) > 50:
                self._regexes.clear()
            self._regexes[pattern] = Regex(pattern, extended=True)
        return self._regexes[pattern]

    def _field(self, number: int) -> str:
        if number < 0:
            raise AwkError(f"trying to access out of range field {number}")
        return self._line if number == 0 else self._fields[number - 1] if number <= len(self._fields) else ""

    def _set_field(self, number: int, text: str) -> None:
        if not 0 <= number <= 1000:
            raise AwkError(f"trying to access out of range field {number}")
        if number == 0:
            self._set_line(text)
            return
        self._fields += [""] * (number - len(self._fields))
        self._fields[number - 1] = text
        self.variables["NF"] = float(len(self._fields))
        self._line = to_text(self.variables["OFS"]).join(self._fields)

    # -- statements ------------------------------------------------------------------------------------------------

    async def _do(self, node: Node) -> None:
        await self._process.work(0.3)
        kind = node[0]
        if kind == "block":
            for each in node[1]:
                await self._do(each)
        elif kind == "do":
            await self._value(node[1])
        elif kind in ("print", "printf"):
            await self._print(kind, node[1])
        elif kind == "if":
            await self._do(node[2] if is_true(await self._value(node[1])) else node[3])
        elif kind in ("while", "for", "each"):
            await self._loop(node)
        elif kind == "delete":
            array = self._array(node[1])
            if node[2] is None:
                array.clear()
            else:
                array.pop(await self._key(node[2]), None)
        else:
            code = 0 if kind != "exit" or node[1] is None else int(to_number(await self._value(node[1])))
            raise _Jump(kind, code & 0xFF)

    async def _print(self, kind: str, nodes: list[Node]) -> None:
        values = [await self._value(each) for each in nodes]
        if kind == "printf":
            if values:
                await self._process.out(formatted(values))
            return
        text = to_text(self.variables["OFS"]).join(to_text(one) for one in values) if values else self._line
        await self._process.out(text + to_text(self.variables["ORS"]))

    async def _loop(self, node: Node) -> None:
        if node[0] == "each":
            for key in list(self._array(node[2])):
                self.variables[node[1]] = key
                if not await self._turn(node[3]):
                    return
            return
        start, test, step, body = (None, node[1], None, node[2]) if node[0] == "while" else node[1:]
        if start is not None:
            await self._do(start)
        while test is None or is_true(await self._value(test)):
            if not await self._turn(body):
                return
            if step is not None:
                await self._do(step)

    async def _turn(self, body: Node) -> bool:
        """One turn of a loop; False when it ends."""
        try:
            await self._do(body)
        except _Jump as jump:
            if jump.kind in ("next", "exit"):
                raise
            return jump.kind == "continue"
        return True

    # -- expressions -----------------------------------------------------------------------------------------------

    def _array(self, name: str) -> dict[str, Value]:
        return self._arrays.setdefault(name, {})

    async def _key(self, nodes: list[Node]) -> str:
        texts = [to_text(await self._value(each)) for each in nodes]
        return to_text(self.variables["SUBSEP"]).join(texts)

    async def _value(self, node: Node) -> Value:
        kind = node[0]
        if kind in ("number", "text"):
            found: Value = node[1]
            return found
        if kind == "name":
            return self.variables.get(node[1], "")
        if kind == "field":
            return self._field(int(to_number(await self._value(node[1]))))
        if kind == "element":
            return self._array(node[1]).get(await self._key(node[2]), "")
        if kind == "paren":
            return await self._value(node[1])
        if kind == "regex":
            return float(self._regex(node[1]).search(self._line[:16384]) is not None)
        if kind in ("&&", "||"):
            left = is_true(await self._value(node[1]))
            return float(left if left == (kind == "||") else is_true(await self._value(node[2])))
        if kind == "?":
            return await self._value(node[2] if is_true(await self._value(node[1])) else node[3])
        return await self._operation(node)

    async def _operation(self, node: Node) -> Value:
        await self._process.work(0.1)
        kind = node[0]
        if kind == "assign":
            value = await self._value(node[3])
            if node[2]:
                value = calculated(node[2], to_number(await self._value(node[1])), to_number(value))
            await self._assign(node[1], value)
            return value
        if kind in ("before", "after"):
            old = to_number(await self._value(node[1]))
            await self._assign(node[1], old + node[2])
            return old if kind == "after" else old + node[2]
        if kind in ("not", "minus", "plus"):
            value = await self._value(node[1])
            return (
                float(not is_true(value))
                if kind == "not"
                else -to_number(value)
                if kind == "minus"
                else to_number(value)
            )
        if kind == "in":
            return float(await self._key(node[1]) in self._array(node[2]))
        if kind in ("~", "!~"):
            text = to_text(await self._value(node[1]))
            return float((self._regex(await self._pattern(node[2])).search(text[:16384]) is not None) == (kind == "~"))
        if kind == "call":
            return await self._call(node[1], node[2])
        if kind == "group":
            raise AwkError("syntax error: a list where one value is needed")
        left, right = await self._value(node[1]), await self._value(node[2])
        if kind == "join":
            return bounded(to_text(left) + to_text(right))
        if kind in ("<", "<=", "==", "!=", ">", ">="):
            return compared(kind, left, right)
        return calculated(kind, to_number(left), to_number(right))

    async def _assign(self, target: Node, value: Value) -> None:
        if target[0] == "name":
            if target[1] == "NF":
                raise AwkError("assigning to NF is not simulated")
            self.variables[target[1]] = value
        elif target[0] == "field":
            self._set_field(int(to_number(await self._value(target[1]))), to_text(value))
        else:
            array = self._array(target[1])
            array[await self._key(target[2])] = value
            if len(array) > MAX_ELEMENTS:
                raise AwkError(f"more than {MAX_ELEMENTS} elements are not simulated")

    async def _pattern(self, node: Node) -> str:
        return str(node[1]) if node[0] == "regex" else to_text(await self._value(node))

    async def _call(self, name: str, nodes: list[Node]) -> Value:
        if name in ("sub", "gsub"):
            return await self._substitute(nodes, every=name == "gsub")
        if name == "split" and len(nodes) > 1:
            separator = await self._pattern(nodes[2]) if len(nodes) > 2 else to_text(self.variables["FS"])
            found = self._split(to_text(await self._value(nodes[0])), separator)
            self._arrays[nodes[1][1]] = {str(at): one for at, one in enumerate(found, 1)}
            return float(len(found))
        if name == "length" and len(nodes) == 1 and nodes[0][0] == "name" and nodes[0][1] in self._arrays:
            return float(len(self._arrays[nodes[0][1]]))
        if name == "match" and len(nodes) == 2:
            match = self._regex(await self._pattern(nodes[1])).search(to_text(await self._value(nodes[0]))[:16384])
            self.variables["RSTART"] = float(match[0][0] + 1 if match is not None else 0)
            self.variables["RLENGTH"] = float(match[0][1] - match[0][0] if match is not None else -1)
            return self.variables["RSTART"]
        values = [await self._value(each) for each in nodes]
        return applied(name, values or [self._line] if name == "length" else values)

    async def _substitute(self, nodes: list[Node], *, every: bool) -> Value:
        if len(nodes) < 2:
            raise AwkError("sub and gsub need two arguments")
        target: Node = nodes[2] if len(nodes) > 2 else ("field", ("number", 0.0))
        text, count, at, made = to_text(await self._value(target)), 0, 0, []
        regex, replacement = self._regex(await self._pattern(nodes[0])), to_text(await self._value(nodes[1]))
        while (match := regex.search(text[:16384], at)) is not None and (every or not count):
            start, end = match[0]
            made.append(text[at:start] + put_in(replacement, text[start:end]))
            count += 1
            await self._process.work(0.2 + regex.cost * len(text) / 500)
            if end == start:
                made.append(text[start : start + 1])
                end += 1
            at = end
            if at > len(text):
                break
        if count:
            await self._assign(target, bounded("".join(made) + text[at:]))
        return float(count)
