"""The program ``sh``: ``-c``, a script file, standard input, interactive on a terminal."""

from __future__ import annotations

from simkube.runtime import signals
from simkube.runtime.accounts import user_name
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Exit, Process
from simkube.runtime.shell import dialect, error_messages
from simkube.runtime.shell.builtins import builtins_of
from simkube.runtime.shell.interpreter import Interpreter
from simkube.runtime.shell.jumps import Jump
from simkube.runtime.shell.line_input import MAX_INPUT, read_line
from simkube.runtime.shell.parser import Parser
from simkube.runtime.shell.state import ShellError, State
from simkube.runtime.shell.syntax import Incomplete, NotSimulated, SyntaxProblem
from simkube.runtime.shell.variables import set_options

BASH_VERSION = "5.2.37(1)-release"
_LONG = {"--login": "l", "--norc": "", "--noprofile": "", "--posix": "", "--noediting": "", "--verbose": "v"}
_VERSION = f"""GNU bash, version {BASH_VERSION} (x86_64-pc-linux-gnu)
Copyright (C) 2022 Free Software Foundation, Inc.
License GPLv3+: GNU GPL version 3 or later <http://gnu.org/licenses/gpl.html>

This is free software; you are free to change and redistribute it.
There is NO WARRANTY, to the extent permitted by law.
"""


async def shell(process: Process) -> int:
    """The program ``sh``: what it is in its image; its exit code."""
    return await _run(process, dialect.of(process.container.spec.flavour))


async def bash(process: Process) -> int:
    """The program ``bash``, by whatever name it was called."""
    return await _run(process, dialect.BASH)


async def _run(process: Process, kind: dialect.Dialect) -> int:
    interpreter = Interpreter(process, _initial_state(process, kind), kind, builtins_of(kind))
    arguments = process.argv[1:]
    command, from_input, forced = False, False, False
    while arguments and len(arguments[0]) > 1 and arguments[0][0] in "-+":
        option = arguments.pop(0)
        if option == "--":
            break
        if kind.bash and option == "--version":
            await process.out(_VERSION)
            return 0
        if kind.bash and option in _LONG:
            continue
        forced = forced or "i" in option
        flags = option[1:].replace("l", "").replace("i", "")
        command = command or "c" in flags
        from_input = from_input or "s" in flags
        rest = flags.replace("c", "").replace("s", "")
        name = arguments.pop(0) if rest.endswith("o") and arguments else ""
        unknown = set_options(interpreter.state, option[0] + rest, name) if rest else ""
        if unknown:
            await interpreter.complain(f"{option}: option not simulated")
            return 2
    interpreter.interactive = forced and not command
    return await interpreter.finish(_start(interpreter, arguments, command=command, from_input=from_input))


def _initial_state(process: Process, kind: dialect.Dialect) -> State:
    state = State(process.argv[0].rpartition("/")[2] if process.argv[0].startswith("-") else process.argv[0])
    for name, value in process.env.items():
        state.set(name, value)
        state.exported.add(name)
    state.set("PWD", process.cwd)
    state.exported.add("PWD")
    state.variables.setdefault("PS1", _prompt_format(process, kind))
    state.variables["IFS"] = " \t\n"
    state.variables["OPTIND"] = "1"
    shlvl = state.variables.get("SHLVL", "0")
    if kind.bash:
        state.variables.update({"BASH": "/bin/bash", "BASH_VERSION": BASH_VERSION, "OSTYPE": "linux-gnu",
                                "HOSTTYPE": "x86_64", "MACHTYPE": "x86_64-pc-linux-gnu"})  # fmt: skip
        state.variables.setdefault("HOSTNAME", process.container.sandbox.config.hostname)
        state.arrays["BASH_VERSINFO"] = dict(enumerate(["5", "2", "37", "1", "release", "x86_64-pc-linux-gnu"]))
    if kind.extended:
        state.set("SHLVL", str(int(shlvl) + 1) if shlvl.isdecimal() and len(shlvl) < 5 else "1")
        state.exported.add("SHLVL")
    for number, handler in process.handlers.items():
        if handler is None:
            state.traps[number] = ""
    return state


def _prompt_format(process: Process, kind: dialect.Dialect) -> str:
    sign = "#" if process.uid == 0 else "$"
    if kind.bash and process.container.files.exists("/usr/bin/dnf"):
        return "[\\u@\\h \\W]\\$ "
    if kind.bash:
        return "\\u@\\h:\\w\\$ " if process.container.spec.flavour == "debian" else "bash-5.2\\$ "
    return f"\\w {sign} " if kind.extended else f"{sign} "


async def _start(interpreter: Interpreter, arguments: list[str], *, command: bool, from_input: bool) -> int:
    process, state = interpreter.process, interpreter.state
    if command:
        if not arguments:
            await interpreter.complain("-c requires an argument")
            return 2
        source = arguments.pop(0)
        if arguments:
            state.name = arguments.pop(0)
        state.positional = arguments
        return await interpreter.run_text(source, tail=True)
    if arguments and not from_input:
        state.name = arguments.pop(0)
        state.positional = arguments
        return await _script(interpreter, state.name)
    state.positional = arguments
    stream = process.fds.get(0)
    interpreter.interactive = interpreter.interactive or (stream is not None and stream.terminal)
    return await _Reader(interpreter).run()


async def _script(interpreter: Interpreter, path: str) -> int:
    process = interpreter.process
    try:
        stream = process.open_read(path)
    except FileError as error:
        words = error_messages.cannot_open(interpreter.dialect, path, error, reading=True)
        if not interpreter.dialect.bash and interpreter.dialect.extended:
            words = f"can't open '{path}': {error.strerror}"
        where = "" if interpreter.dialect.extended else "0: "
        await process.err(f"{process.argv[0]}: {where}{words}\n")
        return 127 if error.strerror != "Is a directory" else 126
    data = bytearray()
    while chunk := await stream.read():
        data += chunk
    stream.release()
    if interpreter.dialect.bash:
        interpreter.state.arrays["BASH_SOURCE"] = {0: path}
    return await interpreter.run_text(data.decode("utf-8", "surrogateescape"))


class _Reader:
    """Commands from standard input, line by line; with prompts when it is a terminal."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._shell = interpreter
        self._process = interpreter.process
        self._waiting = False

    async def run(self) -> int:
        """Until end of input or ``exit``."""
        if self._shell.interactive:
            self._process.handlers[signals.INT] = self._interrupt
            self._process.handlers[signals.TERM] = None
            self._process.handlers[signals.QUIT] = None
        text = ""
        while True:
            line = await self._line(continued=bool(text))
            if line is None:
                if self._shell.interactive:
                    kind = self._shell.dialect
                    await self._process.err("exit\n" if kind.bash else "\n" if kind.extended else "")
                elif text:
                    await self._shell.run_text(text)
                return self._shell.state.status
            text += line
            if len(text) > MAX_INPUT:
                await self._shell.complain("a command longer than 64 KiB is not simulated")
                text = ""
            elif self._complete(text):
                await self._execute(text)
                text = ""

    def _interrupt(self, number: int) -> None:
        self._shell.pending.clear()
        if self._waiting:
            self._process.complain("")
            self._prompt_now("PS1")

    def _prompt_now(self, name: str) -> None:
        stream = self._process.fds.get(2)
        if stream is not None:
            coroutine = stream.write(self.prompt(name).encode())
            try:
                coroutine.send(None)
            except StopIteration:
                return
            coroutine.close()

    def prompt(self, name: str) -> str:
        """PS1 or PS2 as shown."""
        state = self._shell.state
        text = state.variables.get(name, "> ")
        cwd, home = self._process.cwd, state.variables.get("HOME", "")
        shown = f"~{cwd[len(home) :]}" if home not in ("", "/") and (cwd == home or cwd.startswith(f"{home}/")) else cwd
        host = self._process.container.sandbox.config.hostname
        sign = "#" if self._process.uid == 0 else "$"
        user = user_name(self._process.container.files, self._process.uid)
        user = "I have no name!" if user == str(self._process.uid) else user
        short = shown.rpartition("/")[2] or shown
        codes = {"\\w": shown, "\\W": short, "\\h": host, "\\H": host, "\\u": user, "\\$": sign, "\\n": "\n",
                 "\\s": state.name, "\\[": "", "\\]": "", "\\e": "\x1b", "\\v": "5.2"}  # fmt: skip
        for code, value in codes.items():
            text = text.replace(code, value)
        return text

    async def _line(self, *, continued: bool) -> str | None:
        if self._shell.interactive:
            await self._process.err(self.prompt("PS2" if continued else "PS1"))
        self._waiting = True
        try:
            return await read_line(self._process)
        finally:
            self._waiting = False

    def _complete(self, text: str) -> bool:
        if text.endswith("\\\n"):
            return False
        try:
            parser = Parser(text, 0, self._shell.dialect)
            while parser.next_command() is not None:
                pass
        except Incomplete:
            return False
        except (SyntaxProblem, NotSimulated):
            return True
        return not parser.lexer.unfinished_document

    async def _execute(self, text: str) -> None:
        shell = self._shell
        try:
            await shell.run_text(text)
        except Exit:
            raise
        except Jump:
            return
        except ShellError as error:
            if not shell.interactive:
                raise
            await shell.complain(str(error))
            shell.state.status = error.status
