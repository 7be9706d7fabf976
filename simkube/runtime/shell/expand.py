"""Expansion: from words of the syntax tree to the fields a command gets.

In POSIX's order: tilde, parameters, command substitution, arithmetic, field splitting, pathname expansion, quote
removal.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simkube.runtime.files import join
from simkube.runtime.nodes import Directory, FileError
from simkube.runtime.shell import braces, expansion_operators
from simkube.runtime.shell.arithmetic import ArithmeticProblem, Evaluator
from simkube.runtime.shell.parser import is_name
from simkube.runtime.shell.patterns import Pattern, escape, has_magic
from simkube.runtime.shell.state import MAX_VALUE, ShellError
from simkube.runtime.shell.syntax import Arithmetic, Parameter, Part, ProcessSubstitution, Substitution, Text, Word

if TYPE_CHECKING:
    from simkube.runtime.shell.interpreter import Interpreter

MAX_FIELDS = 5000


class _Fields:
    """Fields being built: each has its text and the pattern for pathname expansion."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []
        self._text: list[str] = []
        self._pattern: list[str] = []
        self._open = False

    def add(self, text: str, *, quoted: bool) -> None:
        """More of the current field."""
        self._text.append(text)
        self._pattern.append(escape(text) if quoted else text)
        self._open = self._open or quoted or bool(text)

    def vanish(self) -> None:
        """Nothing was there between the quotes of ``"$@"``: no field, unless something else is in it."""
        self._open = any(self._text)

    def cut(self) -> None:
        """The current field ends here, if it has begun."""
        if self._open:
            self.done.append(("".join(self._text), "".join(self._pattern)))
            if len(self.done) > MAX_FIELDS:
                raise ShellError(f"more than {MAX_FIELDS} words (a limit of this simulation)")
        self._text, self._pattern, self._open = [], [], False

    def add_split(self, text: str, separators: str) -> None:
        """Unquoted text of an expansion: split where IFS says."""
        blanks = "".join(char for char in separators if char in " \t\n")
        hard = "".join(char for char in separators if char not in " \t\n")
        current: list[str] = []
        for char in text:
            if char in blanks:
                self._flush(current)
                self.cut()
            elif char in hard:
                self._flush(current)
                self._open = True
                self.cut()
            else:
                current.append(char)
        self._flush(current)

    def _flush(self, current: list[str]) -> None:
        if current:
            self.add("".join(current), quoted=False)
            current.clear()


class Expander:
    """Expands words for one shell."""

    def __init__(self, shell: Interpreter) -> None:
        self._shell = shell
        self._state = shell.state

    # -- entry points ----------------------------------------------------------------------------------------------

    async def fields(self, words: list[Word]) -> list[str]:
        """The fields of a command's words."""
        found: list[str] = []
        for word in words:
            literal = word.literal()
            if literal is not None and not any(char in "*?[~{" for char in literal):
                found.append(literal)
            elif word.assigned:
                found.append(await self.text(word))
            else:
                expanded = braces.expand(word) if self._shell.dialect.bash else [word]
                await self._shell.process.work((len(expanded) - 1) / 5)
                for each in expanded:
                    await self._add_fields(each, found)
            if len(found) > MAX_FIELDS:
                raise ShellError(f"more than {MAX_FIELDS} words (a limit of this simulation)")
        return found

    async def _add_fields(self, word: Word, found: list[str]) -> None:
        fields = _Fields()
        await self._parts(self._tilde(word).parts, fields, split=True)
        fields.cut()
        for text, pattern in fields.done:
            if "f" not in self._state.options and has_magic(pattern):
                none = [] if "nullglob" in self._state.options else [text]
                found.extend(await self.glob(pattern) or none)
            else:
                found.append(text)

    async def text(self, word: Word) -> str:
        """One text: assignments, redirections, case subjects."""
        literal = word.literal()
        if literal is not None and not literal.startswith("~"):
            return literal
        return "".join([await self._part_text(part) for part in self._tilde(word).parts])

    async def pattern(self, word: Word) -> Pattern:
        """A pattern: quoted parts stand for themselves."""
        found = []
        for part in word.parts:
            text = await self._part_text(part)
            found.append(escape(text) if part.quoted else text)
        return Pattern("".join(found))

    # -- parts -----------------------------------------------------------------------------------------------------

    def _tilde(self, word: Word) -> Word:
        first = word.parts[0] if word.parts else None
        if isinstance(first, Text) and not first.quoted and (first.text == "~" or first.text.startswith("~/")):
            if first.text == "~" and len(word.parts) > 1:
                return word
            home = self._state.variables.get("HOME", "")
            return Word([Text(home, quoted=True), Text(first.text[1:], quoted=False), *word.parts[1:]])
        return word

    async def _parts(self, parts: list[Part], fields: _Fields, *, split: bool) -> None:
        for part in parts:
            if isinstance(part, Text):
                fields.add(part.text, quoted=part.quoted)
            elif isinstance(part, Parameter) and part.op != "#len" and _is_list(part):
                await self._list(part, fields)
            elif (
                isinstance(part, Parameter)
                and part.word is not None
                and part.op.lstrip(":") in ("-", "+")
                and not part.quoted
            ):
                await self._alternative(part, fields, split=split)
            else:
                text = await self._part_text(part)
                if part.quoted or not split:
                    fields.add(text, quoted=part.quoted)
                else:
                    fields.add_split(text, self._separators())

    async def _alternative(self, part: Parameter, fields: _Fields, *, split: bool) -> None:
        """``${x:-"a b" c}``: the quotes of the operand count."""
        value = await self._lookup(part)
        missing = value is None or (part.op.startswith(":") and value == "")
        if missing == part.op.endswith("-"):
            assert part.word is not None
            for inner in part.word.parts:
                if isinstance(inner, Text) and not inner.quoted:
                    fields.add_split(inner.text, self._separators())
                else:
                    await self._parts([inner], fields, split=split)
        elif part.op.endswith("-"):
            fields.add_split(value or "", self._separators())

    def _separators(self) -> str:
        return self._state.variables.get("IFS", " \t\n")

    async def _list(self, part: Parameter, fields: _Fields) -> None:
        """``$@``, ``${a[@]}``, ``${!a[@]}`` and what can be done to all of such values."""
        values = self._values(part)
        await self._shell.process.work(len(values) / 50)
        if part.op.lstrip(":") in ("-", "+", "=", "?") and part.word is not None:
            if (not values) == (not part.op.endswith("+")):
                await self._parts(part.word.parts, fields, split=not part.quoted)
                return
            if part.op.endswith("+"):
                return
        elif part.op == ":":
            assert part.word is not None
            values = expansion_operators.sliced(values, *await self._bounds(part), positional=self._first_of(part))
        elif part.op not in ("", "!keys", "!names"):
            values = [await self._changed(value, part) for value in values]
        if part.quoted and _star(part):
            fields.add(self._separators()[:1].join(values), quoted=True)
            return
        if not values:
            fields.vanish()
        for at, value in enumerate(values):
            if at:
                fields.cut()
            if part.quoted:
                fields.add(value, quoted=True)
            else:
                fields.add_split(value, self._separators())

    def _first_of(self, part: Parameter) -> str | None:
        return self._state.name if part.subscript is None else None

    def _values(self, part: Parameter) -> list[str]:
        state = self._state
        if part.op == "!names":
            names = {*state.variables, *state.arrays}
            return sorted(name for name in names if name.startswith(part.name))
        if part.op == "!keys":
            return [str(key) for key in state.elements(part.name)]
        return list(state.positional if part.subscript is None else state.elements(part.name).values())

    async def _bounds(self, part: Parameter) -> tuple[int, int | None]:
        """The numbers of ``${x:1:2}``."""
        assert part.word is not None
        return await self.calculate(part.word), None if part.more is None else await self.calculate(part.more)

    async def _part_text(self, part: Part) -> str:
        if isinstance(part, Text):
            return part.text
        if isinstance(part, Substitution):
            return await self._shell.substitute(part.body)
        if isinstance(part, Arithmetic):
            return str(await self.calculate(part.expression))
        if isinstance(part, ProcessSubstitution):
            return await self._shell.open_process(part)
        return await self._parameter(part)

    async def calculate(self, word: Word) -> int:
        """The value of an arithmetic expression; ShellError."""
        return self.number("".join([await self._part_text(inner) for inner in word.parts]))

    def number(self, text: str) -> int:
        """The value of an arithmetic expression whose expansions are made; ShellError."""
        try:
            return Evaluator(text, lambda name: self._named(name) or "", self._state.set, self._state.maps).value()
        except ArithmeticProblem as problem:
            words = str(problem)
            if self._shell.dialect.bash:
                words = 'division by 0 (error token is "0")' if words == "divide by zero" else words
                raise ShellError(f"{text.strip()}: {words}", 1) from None
            raise ShellError(words if words == "divide by zero" else f"arithmetic: {words}") from None

    # -- parameters ------------------------------------------------------------------------------------------------

    async def _lookup(self, part: Parameter) -> str | None:
        """The one value that a parameter has."""
        if part.subscript is not None:
            return self._state.elements(part.name).get(await self.key(part.name, part.subscript))
        value = self._value(part.name)
        return self._named(value) if part.indirect and value else value

    async def key(self, name: str, subscript: Word) -> int | str:
        """Where in an array a subscript leads."""
        text = await self.text(subscript)
        return text if name in self._state.maps else self._state.place(name, str(self.number(text)))

    def _named(self, name: str) -> str | None:
        """The value of ``x`` or ``x[1]``."""
        if not name.endswith("]"):
            return self._value(name)
        name, _, key = name[:-1].partition("[")
        return self._state.elements(name).get(self._state.place(name, key))

    def _value(self, name: str) -> str | None:
        state = self._state
        if name in state.variables:
            return state.variables[name]
        if name in state.arrays:
            return state.arrays[name].get("0" if name in state.maps else 0)
        if name.isdecimal():
            number = int(name) if len(name) < 5 else 9999
            if number == 0:
                return state.name
            return state.positional[number - 1] if number <= len(state.positional) else None
        if name in ("@", "*"):
            joint = " " if name == "@" else self._separators()[:1]
            return joint.join(state.positional) if state.positional else None
        return self._special(name)

    def _special(self, name: str) -> str | None:
        state = self._state
        if name == "?":
            return str(state.status)
        if name == "#":
            return str(len(state.positional))
        if name == "$":
            return str(self._shell.top_pid)
        if name == "!":
            return None if state.last_background is None else str(state.last_background)
        if name == "-":
            return "".join(sorted(option for option in state.options if len(option) == 1))
        if name == "PPID":
            parent = self._shell.process.parent
            return "0" if parent is None else str(parent.pid)
        if name == "RANDOM":
            return str(self._shell.random())
        if name == "LINENO":
            return str(self._shell.line)
        return self._shell.known(name) if self._shell.dialect.extended else None

    async def _parameter(self, part: Parameter) -> str:
        op = part.op
        if _is_list(part):
            if op == "#len":
                values = self._values(part)
                await self._shell.process.work(len(values) / 500)
                return str(len(values))
            fields = _Fields()
            await self._list(replace(part, quoted=True), fields)
            fields.cut()
            return (self._separators()[:1] if _star(part) else " ").join(text for text, _ in fields.done)
        value = await self._lookup(part)
        if op == "":
            if value is None and "u" in self._state.options:
                raise ShellError(f"{part.name}: parameter not set")
            return value or ""
        if op == "#len":
            return str(len(value or ""))
        if op == ":":
            return expansion_operators.sliced_text(value or "", *await self._bounds(part))
        return await (self._changed(value or "", part) if op[0] in "#%/^,@" else self._default(part, value))

    async def _default(self, part: Parameter, value: str | None) -> str:
        """``${x:-word}``, ``${x:=word}``, ``${x:+word}``, ``${x:?word}``."""
        assert part.word is not None
        op, kind = part.op, part.op[-1]
        missing = value is None or (op.startswith(":") and value == "")
        if kind == "+":
            return "" if missing else await self.text(part.word)
        if not missing:
            return value or ""
        if kind == "-":
            return await self.text(part.word)
        text = await self.text(part.word)
        if kind == "=":
            if not is_name(part.name):
                raise ShellError("bad substitution")
            self._state.set(part.name, text)
            return text
        default = "parameter not set or null" if op.startswith(":") else "parameter not set"
        raise ShellError(f"{part.name}: {text or default}")

    async def _changed(self, value: str, part: Parameter) -> str:
        """What ``${x#a}``, ``${x/a/b}``, ``${x^^}`` and ``${x@Q}`` make of a value."""
        assert part.word is not None
        op = part.op
        if op == "@":
            return expansion_operators.transformed(value, await self.text(part.word))
        if len(value) > MAX_VALUE // 4:
            raise ShellError("text too long for ${x#pattern} (a limit of this simulation)")
        pattern = await self.pattern(part.word)
        await self._shell.process.work(len(value) / 50)
        if op[0] == "/":
            return expansion_operators.replaced(
                value, op, pattern, "" if part.more is None else await self.text(part.more)
            )
        if op[0] in "^,":
            return expansion_operators.cased(value, op, pattern if part.word.parts else None)
        return expansion_operators.trimmed(value, op[0], len(op) == 2, pattern)

    # -- pathnames -------------------------------------------------------------------------------------------------

    async def glob(self, pattern: str) -> list[str]:
        """Every path that matches, sorted; none when none does."""
        files = self._shell.process.container.files
        cwd = self._shell.process.cwd
        absolute = pattern.startswith("/")
        found = ["/" if absolute else ""]
        steps = [step for step in _split_path(pattern) if step]
        for at, step in enumerate(steps):
            last = at == len(steps) - 1
            following: list[str] = []
            for base in found:
                await self._shell.process.work(1)
                following.extend(self._children(files, join(cwd, base or "."), base, step, last=last))
                if len(following) > MAX_FIELDS:
                    raise ShellError(f"more than {MAX_FIELDS} words (a limit of this simulation)")
            found = following
        return sorted(found)

    @staticmethod
    def _children(files: object, path: str, base: str, step: str, *, last: bool) -> list[str]:
        from simkube.runtime.files import FileSystem

        assert isinstance(files, FileSystem)
        prefix = base if base in ("", "/") else f"{base}/"
        compiled = Pattern(step)
        literal = compiled.literal
        if literal is not None:
            return [prefix + literal] if files.exists(f"{path.rstrip('/')}/{literal}") else []
        try:
            entries = files.entries(path)
        except FileError:
            return []
        return [
            prefix + name
            for name, node in entries.items()
            if compiled.matches(name)
            and (not name.startswith(".") or step.startswith("."))
            and (last or isinstance(node, Directory) or files.is_directory(f"{path.rstrip('/')}/{name}"))
        ]


def _is_list(part: Parameter) -> bool:
    """Whether a parameter stands for any number of values."""
    return part.name in ("@", "*") or part.op in ("!keys", "!names") or _whole(part)


def _whole(part: Parameter) -> bool:
    parts = part.subscript.parts if part.subscript is not None else []
    return len(parts) == 1 and isinstance(parts[0], Text) and parts[0].text in ("@", "*")


def _star(part: Parameter) -> bool:
    first = part.subscript.parts[0] if part.subscript is not None and part.subscript.parts else None
    return part.name == "*" or (isinstance(first, Text) and first.text == "*")


def _split_path(pattern: str) -> list[str]:
    return pattern.split("/")
