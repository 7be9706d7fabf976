"""bash's own builtins: ``declare``, ``let``, ``mapfile``, ``shopt``, ``pushd`` and their like."""

from __future__ import annotations

from simkube.runtime.shell.assignments import assign_text
from simkube.runtime.shell.directories import change_directory
from simkube.runtime.shell.interpreter import Interpreter
from simkube.runtime.shell.parser import is_name
from simkube.runtime.shell.state import ShellError

MAX_LINES = 20_000
_SHOPT = ("nullglob", "dotglob", "extglob", "globstar", "nocaseglob", "nocasematch", "expand_aliases", "lastpipe")
_SIMULATED = ("nullglob",)


async def run_declare(shell: Interpreter, words: list[str]) -> int:
    """``declare [-aAilurxp] [-f] [-g] [NAME[=VALUE]]...``, ``typeset``; ``local`` in bash takes the same options."""
    arguments, flags = words[1:], ""
    while arguments and len(arguments[0]) > 1 and arguments[0][0] in "-+":
        flags += arguments.pop(0)
    if "n" in flags:
        raise ShellError(f"{words[0]}: -n (references to variables) is not simulated")
    if "f" in flags or "F" in flags:
        return await _functions(shell, arguments)
    if "p" in flags or not arguments:
        return await _print(shell, words[0], arguments)
    state = shell.state
    inside = words[0] == "local" or (bool(state.locals) and "g" not in flags)
    if words[0] == "local" and not state.locals:
        await shell.complain("local: can only be used in a function")
        return 1
    for argument in arguments:
        name, equals, value = argument.partition("=")
        append = equals != "" and name.endswith("+")
        name = name.removesuffix("+").partition("[")[0]
        if not is_name(name):
            await shell.complain(f"{words[0]}: `{argument}': not a valid identifier")
            return 1
        if inside and name not in state.locals[-1]:
            state.locals[-1][name] = state.keep(name)
            state.variables.pop(name, None)
            state.arrays.pop(name, None)
        _attributes(shell, name, flags)
        if equals:
            assign_text(shell, name, value, append=append)
        if "r" in flags:
            state.readonly.add(name)
    return 0


def _attributes(shell: Interpreter, name: str, flags: str) -> None:
    state = shell.state
    for letter, group in (("i", state.integers), ("l", state.lower), ("u", state.upper), ("x", state.exported)):
        if letter in flags:
            group.add(name)
    if "A" in flags:
        state.maps.add(name)
    if "A" in flags or "a" in flags:
        state.array(name)


async def _functions(shell: Interpreter, names: list[str]) -> int:
    missing = [name for name in names if name not in shell.state.functions]
    for name in names or sorted(shell.state.functions):
        if name in shell.state.functions:
            await shell.process.out(f"declare -f {name}\n" if not names else f"{name}\n")
    return int(bool(missing))


async def _print(shell: Interpreter, command: str, names: list[str]) -> int:
    state, status = shell.state, 0
    for name in names or sorted({*state.variables, *state.arrays}):
        if name in state.arrays:
            elements = " ".join(f"[{key}]={_quoted(value)}" for key, value in state.arrays[name].items())
            kind = "A" if name in state.maps else "a"
            await shell.process.out(f"declare -{kind} {name}=({elements}{' ' * (kind == 'A' and bool(elements))})\n")
        elif name in state.variables:
            groups = (("i", state.integers), ("r", state.readonly), ("x", state.exported))
            flags = "".join(letter for letter, group in groups if name in group)
            await shell.process.out(f"declare -{flags or '-'} {name}={_quoted(state.variables[name])}\n")
        else:
            await shell.complain(f"{command}: {name}: not found")
            status = 1
    return status


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\{char}" if char in '"\\$`' else char for char in text) + '"'


async def run_let(shell: Interpreter, words: list[str]) -> int:
    """``let EXPRESSION...``: 1 when the last value is 0."""
    value = 0
    for word in words[1:]:
        value = shell.expander.number(word)
    return int(value == 0)


async def run_mapfile(shell: Interpreter, words: list[str]) -> int:
    """``mapfile [-t] [-n COUNT] [-s COUNT] [-d DELIMITER] [ARRAY]``, ``readarray``."""
    arguments, options = words[1:], {"d": "\n"}
    while arguments and arguments[0].startswith("-") and len(arguments[0]) > 1:
        option = arguments.pop(0)[1:]
        letter = option[0]
        if letter == "t":
            options["t"] = ""
        elif letter in "nsd" and (len(option) > 1 or arguments):
            options[letter] = option[1:] or arguments.pop(0)
        else:
            raise ShellError(f"{words[0]}: -{letter}: option not simulated")
    name = arguments[0] if arguments else "MAPFILE"
    data = bytearray()
    while chunk := await shell.process.read():
        data += chunk
    mark = options["d"][:1] or "\0"
    pieces = data.decode("utf-8", "surrogateescape").split(mark)
    lines = [piece + mark for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])
    lines = lines[_count(options.get("s")) :]
    lines = lines[: _count(options.get("n")) or MAX_LINES]
    shell.state.clear(name)
    for at, line in enumerate(lines):
        shell.state.set_element(name, str(at), line.removesuffix(mark) if "t" in options else line)
    return 0


def _count(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() and len(text) < 9 else 0


async def run_shopt(shell: Interpreter, words: list[str]) -> int:
    """``shopt [-s|-u|-q|-p] [NAME]...``; of the options ``nullglob`` is simulated."""
    flags = [word for word in words[1:] if word.startswith("-")]
    names = [word for word in words[1:] if not word.startswith("-")]
    options = shell.state.options
    status = 0
    for name in names or _SHOPT:
        if name not in _SHOPT:
            await shell.complain(f"shopt: {name}: invalid shell option name")
            status = 1
        elif "-s" in flags and name not in _SIMULATED and name not in ("expand_aliases", "lastpipe"):
            raise ShellError(f"shopt: {name} is not simulated")
        elif "-s" in flags or "-u" in flags:
            (options.add if "-s" in flags else options.discard)(name)
        else:
            status = status or int(bool(names) and name not in options)
            if "-q" not in flags:
                await shell.process.out(f"{name:<15}\t{'on' if name in options else 'off'}\n")
    return status


async def run_dirs(shell: Interpreter, words: list[str]) -> int:
    """``pushd [DIR]``, ``popd``, ``dirs``."""
    stack, here = shell.state.elements("DIRSTACK"), shell.process.cwd
    others = [stack[key] for key in sorted(stack, key=int) if int(key) > 0]
    if words[0] != "dirs":
        if words[0] == "pushd" and len(words) > 1:
            target, others = words[1], [here, *others]
        elif not others:
            why = "no other directory" if words[0] == "pushd" else "directory stack empty"
            await shell.complain(f"{words[0]}: {why}")
            return 1
        else:
            target, others = others[0], [here, *others[1:]] if words[0] == "pushd" else others[1:]
        if await change_directory(shell, target):
            return 1
    shell.state.arrays["DIRSTACK"] = dict(enumerate([shell.process.cwd, *others]))
    home = shell.state.variables.get("HOME", "")
    shown = [f"~{path[len(home) :]}" if home not in ("", "/") and path.startswith(home) else path for path in others]
    await shell.process.out(" ".join([_short(shell.process.cwd, home), *shown]) + "\n")
    return 0


def _short(path: str, home: str) -> str:
    return f"~{path[len(home) :]}" if home not in ("", "/") and (path + "/").startswith(home + "/") else path


async def run_builtin(shell: Interpreter, words: list[str]) -> int:
    """``builtin NAME [ARGUMENT]...``"""
    if len(words) < 2:
        return 0
    found = shell.builtins.get(words[1])
    if found is None:
        await shell.complain(f"builtin: {words[1]}: not a shell builtin")
        return 1
    return await found(shell, words[1:])
