"""The commands a shell runs itself. ``SPECIAL`` are POSIX's special builtins: their assignments stay."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from simkube.clock import Future
from simkube.runtime import signals
from simkube.runtime.applets.conditions import evaluate_test
from simkube.runtime.applets.printing import echo_text, printf_text
from simkube.runtime.files import join, normal
from simkube.runtime.nodes import Directory, FileError
from simkube.runtime.process import Exit
from simkube.runtime.shell.interpreter import Interpreter, Jump
from simkube.runtime.shell.parser import is_name
from simkube.runtime.shell.state import ShellError, State

Builtin = Callable[[Interpreter, list[str]], Coroutine[Any, Any, int]]
_OPTION_NAMES = {"errexit": "e", "nounset": "u", "xtrace": "x", "noglob": "f", "allexport": "a", "pipefail": "pipefail"}
SPECIAL = frozenset(
    [
        ":",
        ".",
        "break",
        "continue",
        "eval",
        "exec",
        "exit",
        "export",
        "readonly",
        "return",
        "set",
        "shift",
        "trap",
        "unset",
    ]
)


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


async def _true(shell: Interpreter, words: list[str]) -> int:
    return 0


async def _false(shell: Interpreter, words: list[str]) -> int:
    return 1


async def _dot(shell: Interpreter, words: list[str]) -> int:
    if len(words) < 2:
        await shell.complain(f"{words[0]}: filename argument required")
        return 2
    try:
        stream = shell.process.open_read(words[1])
    except FileError:
        raise ShellError(f"{words[0]}: can't open '{words[1]}': No such file or directory") from None
    data = bytearray()
    while chunk := await stream.read():
        data += chunk
    stream.release()
    shell.functions += 1
    try:
        return await shell.run_text(data.decode("utf-8", "surrogateescape"))
    except Jump as jump:
        if jump.kind != "return":
            raise
        return jump.status
    finally:
        shell.functions -= 1


def _count(words: list[str]) -> int:
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() and len(words[1]) < 6 else 1


async def _break(shell: Interpreter, words: list[str]) -> int:
    if shell.loops:
        raise Jump(words[0], min(max(1, _count(words)), shell.loops))
    return 0


async def _return(shell: Interpreter, words: list[str]) -> int:
    status = _status(shell, words)
    if not shell.functions:
        raise Exit(status)
    raise Jump("return", status=status)


def _status(shell: Interpreter, words: list[str]) -> int:
    if len(words) < 2:
        return shell.state.status
    text = words[1].removeprefix("-")
    if not text.isdecimal() or len(text) > 9:
        raise ShellError(f"{words[0]}: Illegal number: {words[1]}")
    return int(words[1]) & 0xFF


async def _exit(shell: Interpreter, words: list[str]) -> int:
    raise Exit(_status(shell, words))


async def _eval(shell: Interpreter, words: list[str]) -> int:
    if len(words) == 1:
        return 0
    shell.state.status = 0 if not " ".join(words[1:]).strip() else shell.state.status
    return await shell.run_text(" ".join(words[1:]))


async def _exec(shell: Interpreter, words: list[str]) -> int:
    if len(words) == 1:
        return 0
    env = shell.state.environment()
    found = await shell.find_program(words[1:], env)
    if isinstance(found, int):
        if shell.interactive:
            return found
        raise Exit(found)
    shell.replace(found[0], found[1], env)
    return 0


async def _export(shell: Interpreter, words: list[str]) -> int:
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


async def _local(shell: Interpreter, words: list[str]) -> int:
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


async def _set(shell: Interpreter, words: list[str]) -> int:
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


async def _shift(shell: Interpreter, words: list[str]) -> int:
    count = _count(words)
    if count > len(shell.state.positional):
        if shell.process.container.spec.flavour == "debian":
            raise ShellError("shift: can't shift that many")
        return 1
    shell.state.positional = shell.state.positional[count:]
    return 0


async def _trap(shell: Interpreter, words: list[str]) -> int:
    traps, handlers = shell.state.traps, shell.process.handlers
    arguments = words[1:]
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    if not arguments:
        for number, text in sorted(traps.items()):
            await shell.process.out(f"trap -- {quote(text)} {'EXIT' if number == 0 else signals.NAMES[number]}\n")
        return 0
    action = arguments.pop(0) if len(arguments) > 1 else "-"
    for name in arguments:
        signal = 0 if name == "EXIT" else signals.number_of(name)
        if signal is None:
            await shell.complain(f"trap: {name}: invalid signal specification")
            return 1
        if action == "-":
            traps.pop(signal, None)
            handlers.pop(signal, None)
        else:
            traps[signal] = action
            if signal:
                handlers[signal] = shell.caught if action else None
    return 0


async def _unset(shell: Interpreter, words: list[str]) -> int:
    functions = "-f" in words[1:2]
    for name in words[1:]:
        if name in ("-f", "-v"):
            continue
        if functions:
            shell.state.functions.pop(name, None)
        else:
            shell.state.unset(name)
    return 0


async def _cd(shell: Interpreter, words: list[str]) -> int:
    arguments = [word for word in words[1:] if word not in ("-P", "-L", "--")]
    variables = shell.state.variables
    target = arguments[0] if arguments else variables.get("HOME", "/")
    if target == "-":
        target = variables.get("OLDPWD", shell.process.cwd)
        await shell.process.out(f"{target}\n")
    path = normal(join(shell.process.cwd, target or "."))
    try:
        node = shell.process.container.files.node(path)
    except FileError as error:
        node, problem = None, error.strerror
    else:
        problem = "Not a directory"
    if not isinstance(node, Directory):
        debian = shell.process.container.spec.flavour == "debian"
        await shell.complain(f"cd: can't cd to {target}" + ("" if debian else f": {problem}"))
        return 2 if debian else 1
    shell.state.set("OLDPWD", shell.process.cwd)
    shell.process.cwd = path
    shell.state.set("PWD", path)
    return 0


async def _pwd(shell: Interpreter, words: list[str]) -> int:
    await shell.process.out(f"{shell.process.cwd}\n")
    return 0


async def _echo(shell: Interpreter, words: list[str]) -> int:
    await shell.process.out(echo_text(words[1:], escapes=shell.process.container.spec.flavour == "debian"))
    return 0


async def _printf(shell: Interpreter, words: list[str]) -> int:
    if len(words) < 2:
        await shell.complain("printf: usage: printf format [arg ...]")
        return 2
    text, problem = printf_text(words[1], words[2:])
    await shell.process.out(text)
    if problem:
        await shell.complain(f"printf: {problem}")
    return 1 if problem else 0


async def _test(shell: Interpreter, words: list[str]) -> int:
    result, problem = evaluate_test(shell.process, words)
    if problem:
        await shell.complain(f"{words[0]}: {problem}" if words[0] == "[" else f"test: {problem}")
    return result


async def _read(shell: Interpreter, words: list[str]) -> int:
    from simkube.clock import TimedOut, within
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


async def _wait(shell: Interpreter, words: list[str]) -> int:
    status = 0
    wanted = words[1:]
    pids = [int(word) if word.isdecimal() and len(word) < 9 else -1 for word in wanted] or list(shell.children)
    for pid in pids:
        child = shell.children.get(pid)
        if child is None:
            status = 127
            continue
        number = await _exit_or_signal(shell, child.exited)
        if number:
            return 128 + number
        status = child.exited.result()
        shell.children.pop(pid, None)
    return status if wanted else 0


async def _exit_or_signal(shell: Interpreter, exited: Future[int]) -> int:
    """0 when the child has ended, or the number of the signal whose trap is to run."""
    while not exited.done:
        if shell.pending:
            return shell.pending[0]
        first: Future[None] = Future()
        exited.when_done(lambda _, first=first: first.set(None))  # type: ignore[misc] # bound per iteration
        shell.signalled.when_done(lambda _, first=first: first.set(None))  # type: ignore[misc] # as above
        await first
    return 0


async def _kill(shell: Interpreter, words: list[str]) -> int:
    from simkube.runtime.applets.processes import kill_command

    return await kill_command(shell.process, words)


async def _command(shell: Interpreter, words: list[str]) -> int:
    arguments = words[1:]
    if arguments[:1] in (["-v"], ["-V"]):
        return await _describe(shell, arguments[1:], verbose=arguments[0] == "-V")
    if arguments[:1] == ["-p"]:
        arguments = arguments[1:]
    if not arguments:
        return 0
    if arguments[0] in BUILTINS:
        return await BUILTINS[arguments[0]](shell, arguments)
    env = shell.state.environment()
    found = await shell.find_program(arguments, env)
    if isinstance(found, int):
        return found
    child = shell.process.child(found[1], env=env)
    child.run(found[0])
    return await child.exited


async def _type(shell: Interpreter, words: list[str]) -> int:
    return await _describe(shell, words[1:], verbose=True)


async def _describe(shell: Interpreter, names: list[str], *, verbose: bool) -> int:
    from simkube.runtime.executables import which

    status = 0
    for name in names:
        if name in shell.state.functions:
            text = f"{name} is a function" if verbose else name
        elif name in BUILTINS:
            text = f"{name} is a shell builtin" if verbose else name
        else:
            try:
                path = which(shell.process.container.files, name, shell.state.environment(), shell.process.cwd)
            except FileError:
                status = 127
                if verbose:
                    await shell.process.out(f"{name}: not found\n")
                continue
            text = f"{name} is {path}" if verbose else path
        await shell.process.out(f"{text}\n")
    return status


async def _times(shell: Interpreter, words: list[str]) -> int:
    await shell.process.out("0m0.00s 0m0.00s\n0m0.00s 0m0.00s\n")
    return 0


async def _umask(shell: Interpreter, words: list[str]) -> int:
    if len(words) > 1:
        raise ShellError("umask: setting it is not simulated")
    await shell.process.out("0022\n")
    return 0


async def _jobs(shell: Interpreter, words: list[str]) -> int:
    for at, (pid, child) in enumerate(list(shell.children.items()), 1):
        if not child.exited.done:
            await shell.process.out(f"[{at}] + Running  {pid} {' '.join(child.argv)}\n")
    return 0


async def _refused(shell: Interpreter, words: list[str]) -> int:
    await shell.complain(f"{words[0]}: not simulated")
    return 2


BUILTINS: dict[str, Builtin] = {
    ":": _true,
    ".": _dot,
    "source": _dot,
    "[": _test,
    "break": _break,
    "cd": _cd,
    "command": _command,
    "continue": _break,
    "echo": _echo,
    "eval": _eval,
    "exec": _exec,
    "exit": _exit,
    "export": _export,
    "false": _false,
    "hash": _true,
    "jobs": _jobs,
    "kill": _kill,
    "local": _local,
    "printf": _printf,
    "pwd": _pwd,
    "read": _read,
    "readonly": _export,
    "return": _return,
    "set": _set,
    "shift": _shift,
    "test": _test,
    "times": _times,
    "trap": _trap,
    "true": _true,
    "type": _type,
    "umask": _umask,
    "unset": _unset,
    "wait": _wait,
    **dict.fromkeys(["alias", "unalias", "bg", "fg", "getopts", "ulimit"], _refused),
}
