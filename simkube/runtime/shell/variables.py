"""The builtins that change a shell's variables, parameters and options: ``export``, ``local``, ``set``, ``read``..."""

from __future__ import annotations

from dataclasses import dataclass

from simkube.clock.clock import TimedOut, within
from simkube.runtime.shell.interpreter import Interpreter
from simkube.runtime.shell.line_input import read_line
from simkube.runtime.shell.parser import is_name
from simkube.runtime.shell.state import OPTION_NAMES, ShellError, State, quote

_SIMULATED = ("e", "u", "x", "f", "a", "pipefail")


def set_options(state: State, option: str, name: str) -> str:
    """Apply ``-eu``, ``+x``, ``-o pipefail``; the part that is not known, or ""."""
    on = option[0] == "-"
    letters = [letter for letter in option[1:] if letter != "o"]
    for letter in [*letters, *([OPTION_NAMES.get(name, name)] if "o" in option[1:] else [])]:
        if letter in ("m", "h", "b", "B", "posix", "monitor"):
            continue
        if letter not in _SIMULATED:
            return letter
        (state.options.add if on else state.options.discard)(letter)
    return ""


def first_number(words: list[str]) -> int:
    """The number a builtin is given, 1 without one."""
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() and len(words[1]) < 6 else 1


async def run_export(shell: Interpreter, words: list[str]) -> int:
    state = shell.state
    group = state.exported if words[0] == "export" else state.readonly
    arguments = [word for word in words[1:] if word not in ("-p", "-n", "-a", "--")]
    if not arguments:
        for name in sorted(group):
            value = state.variables.get(name, "")
            flag = "x" if words[0] == "export" else "r"
            shown = f'declare -{flag} {name}="{value}"' if shell.dialect.bash else f"{words[0]} {name}={quote(value)}"
            await shell.process.out(f"{shown}\n")
        return 0
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not is_name(name):
            raise ShellError(f"{words[0]}: {name}: bad variable name")
        if equals:
            state.set(name, value)
        if words[0] == "export" and "-n" in words:
            group.discard(name)
        else:
            group.add(name)
    return 0


async def run_alias(shell: Interpreter, words: list[str]) -> int:
    """``alias [NAME[=TEXT]]...``, ``unalias [-a] NAME...``: a text at the beginning of a command."""
    aliases, status = shell.state.aliases, 0
    for word in words[1:] or (sorted(aliases) if words[0] == "alias" else []):
        name, equals, text = word.partition("=")
        if words[0] == "unalias" and word == "-a":
            aliases.clear()
        elif words[0] == "alias" and equals and len(aliases) < 100:
            aliases[name] = text
        elif name not in aliases:
            await shell.complain(f"{words[0]}: {name}: not found")
            status = 1
        elif words[0] == "unalias":
            del aliases[name]
        else:
            await shell.process.out(f"{'alias ' * shell.dialect.bash}{name}={quote(aliases[name])}\n")
    return status


async def run_local(shell: Interpreter, words: list[str]) -> int:
    if not shell.state.locals:
        raise ShellError("local: not in a function")
    scope = shell.state.locals[-1]
    for argument in words[1:]:
        name, equals, value = argument.partition("=")
        if not is_name(name):
            raise ShellError(f"local: {name}: bad variable name")
        if name not in scope:
            scope[name] = shell.state.keep(name)
        if equals:
            shell.state.set(name, value)
    return 0


async def run_set(shell: Interpreter, words: list[str]) -> int:
    arguments = words[1:]
    if not arguments:
        plain = shell.dialect.bash
        for name, value in sorted(shell.state.variables.items()):
            simple = plain and value != "" and all(char.isalnum() or char in "_-./:@%+=," for char in value)
            await shell.process.out(f"{name}={value if simple or (plain and not value) else quote(value)}\n")
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
        if not shell.dialect.extended:
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
        elif name.endswith("]") and "[" in name and shell.dialect.bash:
            array, _, key = name[:-1].partition("[")
            place = key if array in shell.state.maps else str(shell.expander.number(key))
            shell.state.array(array).pop(shell.state.place(array, place), None)
        elif shell.dialect.bash and name in shell.state.functions and not shell.state.elements(name):
            shell.state.functions.pop(name)
        else:
            shell.state.unset(name)
    return 0


@dataclass(slots=True)
class _Reading:
    """The options of ``read``."""

    raw: bool = False
    timeout: float | None = None
    prompt: str = ""
    array: str = ""
    delimiter: str = "\n"
    most: int | None = None
    exact: bool = False
    fd: int = 0


def _read_options(shell: Interpreter, arguments: list[str]) -> _Reading:
    """Take the options off the arguments of ``read``; ShellError."""
    found = _Reading()
    while arguments and arguments[0].startswith("-") and len(arguments[0]) > 1:
        word = arguments.pop(0)
        if word == "--":
            break
        for at, letter in enumerate(word[1:], 2):
            if letter in "rse" and (letter == "r" or shell.dialect.extended):
                found.raw = found.raw or letter == "r"
                continue
            known = "pt" + "andNui" * shell.dialect.bash + "dn" * shell.dialect.extended
            value = word[at:] or (arguments.pop(0) if arguments else None)
            if letter not in known or value is None or not _set_reading(found, letter, value):
                raise ShellError(f"read: -{letter}: option not simulated")
            break
    return found


def _set_reading(found: _Reading, letter: str, value: str) -> bool:
    """One option that has a value; False when the value is wrong."""
    if letter == "p":
        found.prompt = value
    elif letter == "a":
        found.array = value
    elif letter == "d":
        found.delimiter = value[:1] or "\0"
    elif letter == "t":
        if not value.replace(".", "", 1).isdecimal():
            return False
        found.timeout = float(value[:9])
    elif letter in "nNu":
        if not value.isdecimal() or len(value) > 6:
            return False
        if letter == "u":
            found.fd = int(value)
        else:
            found.most, found.exact = int(value), letter == "N"
    return True


async def run_read(shell: Interpreter, words: list[str]) -> int:
    arguments = words[1:]
    options = _read_options(shell, arguments)
    names = arguments or ["REPLY"]
    for name in names:
        if not is_name(name):
            raise ShellError(f"read: {name}: bad variable name")
    if options.prompt:
        await shell.process.err(options.prompt)
    reading = _read_text(shell, options)
    try:
        clock = shell.process.container.clock
        text, ended = await (reading if options.timeout is None else within(clock, options.timeout, reading))
    except TimedOut:
        return 142 if shell.dialect.bash else 1
    if options.array:
        shell.state.clear(options.array)
        for at, field in enumerate(split_fields(shell, text)):
            shell.state.set_element(options.array, str(at), field)
    elif options.exact or (not arguments and shell.dialect.bash):
        shell.state.set(names[0], text if options.raw else _unescaped(text))
    else:
        _assign_fields(shell, names, text, raw=options.raw)
    return 0 if ended else 1


async def _read_text(shell: Interpreter, options: _Reading) -> tuple[str, bool]:
    """What there is up to the delimiter (or so many characters), and whether that was found."""
    if options.delimiter == "\n" and options.most is None:
        line = ""
        while True:
            line += await read_line(shell.process, options.fd) or ""
            if options.raw or not line.endswith("\\\n"):
                return line.removesuffix("\n"), line.endswith("\n")
            line = line[:-2]
    stream, data = shell.process.fds.get(options.fd), bytearray()
    while stream is not None and len(data) < 64 * 1024:
        text = data.decode("utf-8", "ignore")
        if options.most is not None and len(text) >= options.most:
            return text, True
        byte = await stream.read(1)
        if not byte:
            return data.decode("utf-8", "surrogateescape"), False
        if byte == options.delimiter.encode() and not options.exact:
            return data.decode("utf-8", "surrogateescape"), True
        data += byte
        await shell.process.work(0.05)
    return data.decode("utf-8", "surrogateescape"), False


def split_fields(shell: Interpreter, line: str) -> list[str]:
    """A line cut where IFS says."""
    separators = shell.state.variables.get("IFS", " \t\n")
    blanks = "".join(char for char in separators if char.isspace())
    found: list[str] = []
    rest = line.strip(blanks) if blanks else line
    while rest:
        cut = next((at for at, char in enumerate(rest) if char in separators), len(rest))
        found.append(rest[:cut])
        hard = rest[cut : cut + 1] not in blanks
        rest = rest[cut + 1 :] if hard else rest[cut:].lstrip(blanks)
    return found


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
