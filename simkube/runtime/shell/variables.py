"""The builtins that change a shell's variables, parameters and options: ``export``, ``local``, ``set``, ``read``..."""

from __future__ import annotations

from simkube.runtime.shell.interpreter import Interpreter
from simkube.runtime.shell.parser import is_name
from simkube.runtime.shell.state import ShellError, State

_OPTION_NAMES = {"errexit": "e", "nounset": "u", "xtrace": "x", "noglob": "f", "allexport": "a", "pipefail": "pipefail"}


def set_options(state: State, option: str, name: str) -> str:
    """Apply ``-eu``, ``+x``, ``-o pipefail``; the part that is not known, or ""."""
    on = option[0] == "-"
    letters = [letter for letter in option[1:] if letter != "o"]
    for letter in [*letters, *([_OPTION_NAMES.get(name, name)] if "o" in option[1:] else [])]:
        if letter in ("m", "h", "b"):
            continue
        if letter not in _OPTION_NAMES.values():
            return letter
        (state.options.add if on else state.options.discard)(letter)
    return ""


def first_number(words: list[str]) -> int:
    """The number a builtin is given, 1 without one."""
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() and len(words[1]) < 6 else 1


async def run_export(shell: Interpreter, words: list[str]) -> int:
    state = shell.state
    group = state.exported if words[0] == "export" else state.readonly
    arguments = [word for word in words[1:] if word != "-p"]
    if not arguments:
        for name in sorted(group):
            await shell.process.out(f"{words[0]} {name}={quote(state.variables.get(name, ''))}\n")
        return 0
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not is_name(name):
            raise ShellError(f"{words[0]}: {name}: bad variable name")
        if equals:
            state.set(name, value)
        group.add(name)
    return 0


def quote(text: str) -> str:
    """``text`` in single quotes, as the shell could read it again."""
    return "'" + text.replace("'", "'\\''") + "'"


async def run_local(shell: Interpreter, words: list[str]) -> int:
    if not shell.state.locals:
        raise ShellError("local: not in a function")
    scope = shell.state.locals[-1]
    for argument in words[1:]:
        name, equals, value = argument.partition("=")
        if not is_name(name):
            raise ShellError(f"local: {name}: bad variable name")
        scope.setdefault(name, shell.state.variables.get(name))
        if equals:
            shell.state.set(name, value)
    return 0


async def run_set(shell: Interpreter, words: list[str]) -> int:
    arguments = words[1:]
    if not arguments:
        for name, value in sorted(shell.state.variables.items()):
            await shell.process.out(f"{name}={quote(value)}\n")
        return 0
    while arguments and len(arguments[0]) > 1 and arguments[0][0] in "-+":
        option = arguments.pop(0)
        if option == "--":
            shell.state.positional = arguments
            return 0
        name = arguments.pop(0) if "o" in option and arguments else ""
        unknown = set_options(shell.state, option, name)
        if unknown:
            raise ShellError(f"set: {option} {name}: option not simulated")
    if arguments:
        shell.state.positional = arguments
    return 0


async def run_shift(shell: Interpreter, words: list[str]) -> int:
    count = first_number(words)
    if count > len(shell.state.positional):
        if shell.process.container.spec.flavour == "debian":
            raise ShellError("shift: can't shift that many")
        return 1
    shell.state.positional = shell.state.positional[count:]
    return 0


async def run_unset(shell: Interpreter, words: list[str]) -> int:
    functions = "-f" in words[1:2]
    for name in words[1:]:
        if name in ("-f", "-v"):
            continue
        if functions:
            shell.state.functions.pop(name, None)
        else:
            shell.state.unset(name)
    return 0


async def run_read(shell: Interpreter, words: list[str]) -> int:
    from simkube.clock.clock import TimedOut, within
    from simkube.runtime.shell.main import read_line

    arguments, raw, timeout = words[1:], False, None
    while arguments and arguments[0].startswith("-") and len(arguments[0]) > 1:
        option = arguments.pop(0)
        if option == "-r":
            raw = True
        elif option == "-p" and arguments:
            await shell.process.err(arguments.pop(0))
        elif option == "-t" and arguments and arguments[0].replace(".", "", 1).isdecimal():
            timeout = float(arguments.pop(0)[:9])
        else:
            raise ShellError(f"read: {option}: option not simulated")
    names = arguments or ["REPLY"]
    for name in names:
        if not is_name(name):
            raise ShellError(f"read: {name}: bad variable name")
    line = ""
    try:
        while True:
            reading = read_line(shell.process)
            more = await (reading if timeout is None else within(shell.process.container.clock, timeout, reading))
            line += more or ""
            if raw or not line.endswith("\\\n"):
                break
            line = line[:-2]
    except TimedOut:
        return 1
    _assign_fields(shell, names, line.removesuffix("\n"), raw=raw)
    return 0 if line.endswith("\n") else 1


def _assign_fields(shell: Interpreter, names: list[str], line: str, *, raw: bool) -> None:
    separators = shell.state.variables.get("IFS", " \t\n")
    blanks = "".join(char for char in separators if char.isspace())
    rest = _unescaped(line) if not raw and "\\" in line else line
    rest = rest.strip(blanks) if blanks else rest
    for name in names[:-1]:
        cut = next((at for at, char in enumerate(rest) if char in separators), len(rest))
        shell.state.set(name, rest[:cut])
        hard = rest[cut : cut + 1] not in blanks
        rest = rest[cut + 1 :] if hard else rest[cut:].lstrip(blanks)
    shell.state.set(names[-1], rest)


def _unescaped(line: str) -> str:
    text, skip = [], False
    for char in line:
        if char == "\\" and not skip:
            skip = True
            continue
        text.append(char)
        skip = False
    return "".join(text)
