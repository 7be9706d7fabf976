"""Reading the options of applets; an option that is not simulated is refused by name, never ignored."""

from __future__ import annotations

from dataclasses import dataclass, field

from simkube.runtime.process import Exit, Process


@dataclass(slots=True)
class Options:
    """Flags that were given, values by their letter or long name, and the operands."""

    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    operands: list[str] = field(default_factory=list)

    def __contains__(self, name: str) -> bool:
        return name in self.flags or name in self.values


async def refuse(process: Process, option: str) -> None:
    """Say that an option is not simulated, and exit with 1."""
    await process.err(f"{name_of(process)}: option {option} is not simulated\n")
    raise Exit(1)


def name_of(process: Process) -> str:
    """The applet's name as it was called."""
    return process.argv[0].rpartition("/")[2]


async def parse(
    process: Process, flags: str = "", values: str = "", *, long: dict[str, str] | None = None, stop_early: bool = False
) -> Options:
    """Options of ``process.argv``: letters in ``flags``, letters with a value in ``values``; ``long`` maps ``--names``.

    A long name maps to a letter of either kind. ``stop_early``: operands begin at the first word that is no option.
    """
    found = Options()
    words = process.argv[1:]
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            found.operands.extend(words[at:])
            break
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            letter = (long or {}).get(name)
            if letter is None:
                await refuse(process, word)
                continue
            if letter not in values:
                found.flags.add(letter)
                continue
            if not equals:
                value, at = (words[at] if at < len(words) else ""), at + 1
            found.values[letter] = value
        elif word.startswith("-") and len(word) > 1:
            at = await _letters(process, found, word, words, at, (flags, values))
        else:
            found.operands.append(word)
            if stop_early:
                found.operands.extend(words[at:])
                break
    return found


async def _letters(
    process: Process, found: Options, word: str, words: list[str], at: int, known: tuple[str, str]
) -> int:
    for index, letter in enumerate(word[1:], 1):
        if letter in known[0]:
            found.flags.add(letter)
        elif letter in known[1]:
            value = word[index + 1 :]
            if not value:
                if at >= len(words):
                    await process.err(f"{name_of(process)}: option requires an argument -- '{letter}'\n")
                    raise Exit(1)
                value, at = words[at], at + 1
            found.values[letter] = value
            break
        else:
            await refuse(process, f"-{letter}")
    return at


def integer(text: str) -> int | None:
    """A whole number of reasonable size, or None."""
    digits = text[1:] if text[:1] in "+-" else text
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None


def seconds_of(text: str) -> float | None:
    """A duration such as ``1``, ``0.5``, ``2m``; None when it is none."""
    factor = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:], 0)
    number = text[:-1] if factor else text
    plain = number.replace(".", "", 1)
    if not plain.isascii() or not plain.isdigit() or len(number) > 12:
        return None
    return float(number) * (factor or 1)
