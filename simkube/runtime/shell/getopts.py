"""``getopts``: a script's own options, one at a call."""

from __future__ import annotations

from simkube.runtime.shell.interpreter import Interpreter
from simkube.runtime.shell.parser import is_name


async def run_getopts(shell: Interpreter, words: list[str]) -> int:
    """``getopts OPTSTRING NAME [ARGUMENT]...``; 1 when there are no more. ``OPTIND`` is the next argument's number."""
    if len(words) < 3 or not is_name(words[2]):
        await shell.complain("getopts: usage: getopts optstring name [arg ...]")
        return 2
    known, name = words[1], words[2]
    arguments = words[3:] or shell.state.positional
    state = shell.state
    index = _number(state.variables.get("OPTIND", "1"))
    place = shell.option_place if index == shell.option_index else 1
    word = arguments[index - 1] if 0 < index <= len(arguments) else ""
    if not word.startswith("-") or word == "-" or word == "--":
        state.set("OPTIND", str(index + (word == "--")))
        state.set(name, "?")
        return 1
    letter = word[place]
    index, place = (index, place + 1) if place + 1 < len(word) else (index + 1, 1)
    found = known.lstrip(":").find(letter) if letter != ":" else -1
    wants = found >= 0 and known.lstrip(":")[found + 1 : found + 2] == ":"
    value: str | None = None
    if wants:
        value = word[place:] if place > 1 else arguments[index - 1] if index <= len(arguments) else None
        index, place = index + 1, 1
    shell.option_index, shell.option_place = index, place
    state.set("OPTIND", str(index))
    await _report(shell, known, name, letter, value, known_letter=found >= 0, lacks=wants and value is None)
    return 0


async def _report(
    shell: Interpreter, known: str, name: str, letter: str, value: str | None, *, known_letter: bool, lacks: bool
) -> None:
    """Set the variables; say what is wrong unless the option string begins with a colon."""
    state, silent = shell.state, known.startswith(":")
    state.unset("OPTARG")
    if known_letter and not lacks:
        state.set(name, letter)
        if value is not None:
            state.set("OPTARG", value)
        return
    state.set(name, ":" if lacks and silent else "?")
    if silent:
        state.set("OPTARG", letter)
        return
    if shell.dialect.bash:
        what = f"option requires an argument -- {letter}" if lacks else f"illegal option -- {letter}"
        await shell.process.err(f"{state.name}: {what}\n")
    else:
        await shell.process.err(f"No arg for -{letter} option\n" if lacks else f"Illegal option -{letter}\n")


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 6 else 1
