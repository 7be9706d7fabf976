"""The commands a shell runs itself. ``SPECIAL`` are POSIX's special builtins: their assignments stay."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from simkube.runtime import signals
from simkube.runtime.applets.conditions import evaluate_test
from simkube.runtime.applets.printing import echo_text, printf_text
from simkube.runtime.files import join, normal
from simkube.runtime.nodes import Directory, FileError
from simkube.runtime.process import Exit
from simkube.runtime.shell import jobs, variables
from simkube.runtime.shell.interpreter import Interpreter, Jump
from simkube.runtime.shell.state import ShellError
from simkube.runtime.shell.variables import first_number, quote

Builtin = Callable[[Interpreter, list[str]], Coroutine[Any, Any, int]]
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


async def _break(shell: Interpreter, words: list[str]) -> int:
    if shell.loops:
        raise Jump(words[0], min(max(1, first_number(words)), shell.loops))
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
    "export": variables.run_export,
    "false": _false,
    "hash": _true,
    "jobs": jobs.run_jobs,
    "kill": jobs.run_kill,
    "local": variables.run_local,
    "printf": _printf,
    "pwd": _pwd,
    "read": variables.run_read,
    "readonly": variables.run_export,
    "return": _return,
    "set": variables.run_set,
    "shift": variables.run_shift,
    "test": _test,
    "times": _times,
    "trap": _trap,
    "true": _true,
    "type": _type,
    "umask": _umask,
    "unset": variables.run_unset,
    "wait": jobs.run_wait,
    **dict.fromkeys(["alias", "unalias", "bg", "fg", "getopts", "ulimit"], _refused),
}
