"""The commands a shell runs itself."""

from __future__ import annotations

from simkube.runtime import signals
from simkube.runtime.applets.conditions import evaluate_test
from simkube.runtime.applets.printing import echo_text, printf_text
from simkube.runtime.executables import which
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Exit
from simkube.runtime.shell import declare, getopts, jobs, variables
from simkube.runtime.shell.dialect import Dialect
from simkube.runtime.shell.directories import change_directory
from simkube.runtime.shell.interpreter import Builtin, Interpreter
from simkube.runtime.shell.jumps import Jump
from simkube.runtime.shell.parser import RESERVED
from simkube.runtime.shell.state import ShellError, quote
from simkube.runtime.shell.variables import first_number


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
    if shell.interactive and shell.dialect.bash:
        await shell.process.err("exit\n")
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
    words = [words[0], *words[2:]] if words[1] == "--" else words
    if words[1:2] and words[1].startswith("-"):
        dash = not shell.dialect.extended
        await shell.complain(
            f"exec: {'Illegal option' if dash else 'invalid option --'} {words[1][: 2 if dash else None]}"
        )
        raise Exit(2)
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
    if len(arguments) > 1 and shell.dialect.bash:
        await shell.complain("cd: too many arguments")
        return 1
    target = arguments[0] if arguments else variables.get("HOME", "/")
    if target == "-":
        target = variables.get("OLDPWD", shell.process.cwd)
        await shell.process.out(f"{target}\n")
    return await change_directory(shell, target)


async def _pwd(shell: Interpreter, words: list[str]) -> int:
    await shell.process.out(f"{shell.process.cwd}\n")
    return 0


async def _echo(shell: Interpreter, words: list[str]) -> int:
    await shell.process.out(echo_text(words[1:], escapes=not shell.dialect.extended))
    return 0


async def _printf(shell: Interpreter, words: list[str]) -> int:
    words = [word for at, word in enumerate(words) if at != 1 or word != "--"]
    variable = ""
    if words[1:2] == ["-v"] and shell.dialect.bash and len(words) > 2:
        variable, words = words[2], [words[0], *words[3:]]
    if len(words) < 2:
        await shell.complain("printf: usage: printf format [arg ...]")
        return 2
    text, problem = printf_text(words[1], words[2:])
    if variable:
        shell.state.set(variable, text)
    else:
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
    builtins = shell.builtins
    if arguments[0] in builtins:
        return await builtins[arguments[0]](shell, arguments)
    env = shell.state.environment()
    found = await shell.find_program(arguments, env)
    if isinstance(found, int):
        return found
    child = shell.process.child(found[1], env=env)
    child.run(found[0])
    return await child.exited


async def _type(shell: Interpreter, words: list[str]) -> int:
    if shell.dialect.bash and words[1:2] in (["-t"], ["-p"], ["-P"]):
        return await _kind(shell, words[2:], path=words[1] != "-t")
    return await _describe(shell, [word for word in words[1:] if word != "-a"], verbose=True)


async def _kind(shell: Interpreter, names: list[str], *, path: bool) -> int:
    """``type -t`` and ``type -p``."""
    status = 0
    for name in names:
        kind, where = _find(shell, name)
        if not kind or (path and kind != "file"):
            status = status or int(not kind)
        else:
            await shell.process.out(f"{where if path else kind}\n")
    return status


def _find(shell: Interpreter, name: str) -> tuple[str, str]:
    """What a name is: ``keyword``, ``function``, ``builtin``, ``file`` (and its path) or ""."""
    if name in RESERVED:
        return "keyword", ""
    if name in shell.state.functions:
        return "function", ""
    if name in shell.builtins:
        return "builtin", ""
    try:
        return "file", which(shell.process.container.files, name, shell.state.environment(), shell.process.cwd)
    except FileError:
        return "", ""


async def _describe(shell: Interpreter, names: list[str], *, verbose: bool) -> int:
    words = {"keyword": "shell keyword", "function": "function", "builtin": "shell builtin"}
    status = 0
    for name in names:
        kind, path = _find(shell, name)
        if not kind:
            status = 1 if shell.dialect.bash else 127
            if verbose and shell.dialect.bash:
                await shell.complain(f"type: {name}: not found")
            elif verbose:
                await shell.process.out(f"{name}: not found\n")
            continue
        text = path or name
        if verbose:
            article = "" if kind == "file" or (shell.dialect.bash is False and kind == "keyword") else "a "
            text = f"{name} is {path}" if kind == "file" else f"{name} is {article}{words[kind]}"
        await shell.process.out(f"{text}\n")
    return status


async def _times(shell: Interpreter, words: list[str]) -> int:
    await shell.process.out("0m0.00s 0m0.00s\n0m0.00s 0m0.00s\n")
    return 0


async def _umask(shell: Interpreter, words: list[str]) -> int:
    if [word for word in words[1:] if word not in ("-S", "022", "0022")]:
        raise ShellError("umask: setting it is not simulated")
    if words[1:2] == ["-S"]:
        await shell.process.out("u=rwx,g=rx,o=rx\n")
    elif len(words) == 1:
        await shell.process.out("0022\n")
    return 0


async def _ulimit(shell: Interpreter, words: list[str]) -> int:
    """``ulimit [-n]`` and the like: what the limit is; changing it is not simulated."""
    if len(words) > 2 or (len(words) == 2 and not words[1].startswith("-")):
        raise ShellError("ulimit: setting a limit is not simulated")
    if words[1:] == ["-a"]:
        rows = "".join(f"{what:<24}({unit}, -{letter}) {limit}\n" for what, unit, letter, limit in _LIMITS)
        await shell.process.out(rows)
    else:
        await shell.process.out("1048576\n" if words[1:] == ["-n"] else "unlimited\n")
    return 0


_LIMITS = (
    ("core file size", "blocks", "c", "unlimited"),
    ("data seg size", "kbytes", "d", "unlimited"),
    ("file size", "blocks", "f", "unlimited"),
    ("open files", "files", "n", "1048576"),
    ("max user processes", "processes", "u", "unlimited"),
    ("virtual memory", "kbytes", "v", "unlimited"),
)


async def _no_jobs(shell: Interpreter, words: list[str]) -> int:
    await shell.complain(f"{words[0]}: no job control")
    return 1


async def _refused(shell: Interpreter, words: list[str]) -> int:
    await shell.complain(f"{words[0]}: not simulated")
    return 2


_POSIX: dict[str, Builtin] = {
    ":": _true,
    ".": _dot,
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
    "getopts": getopts.run_getopts,
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
    "ulimit": _ulimit,
    "umask": _umask,
    "unset": variables.run_unset,
    "wait": jobs.run_wait,
    **dict.fromkeys(["bg", "fg"], _no_jobs),
    "alias": variables.run_alias,
    "unalias": variables.run_alias,
}
_EXTENDED: dict[str, Builtin] = {**_POSIX, "let": declare.run_let, "source": _dot}
_BASH: dict[str, Builtin] = {
    **_EXTENDED,
    "builtin": declare.run_builtin,
    "declare": declare.run_declare,
    "dirs": declare.run_dirs,
    "disown": _true,
    "local": declare.run_declare,
    "logout": _exit,
    "mapfile": declare.run_mapfile,
    "popd": declare.run_dirs,
    "pushd": declare.run_dirs,
    "readarray": declare.run_mapfile,
    "shopt": declare.run_shopt,
    "typeset": declare.run_declare,
    **dict.fromkeys(["bind", "caller", "compgen", "complete", "enable", "fc", "help", "history", "suspend"], _refused),
}


def builtins_of(dialect: Dialect) -> dict[str, Builtin]:
    """What a shell runs itself."""
    return _BASH if dialect.bash else _EXTENDED if dialect.extended else _POSIX
