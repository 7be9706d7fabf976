"""Brace expansion as bash has it: ``a{b,c}d``, ``{1..5}``, ``{a..e..2}``. Everything else stays as it is written."""

from __future__ import annotations

import re

from simkube.runtime.shell.state import ShellError
from simkube.runtime.shell.syntax import Part, Text, Word

MAX_WORDS = 5000
_RANGE = re.compile(r"(-?\d{1,9}|[A-Za-z])\.\.(-?\d{1,9}|[A-Za-z])(?:\.\.(-?\d{1,9}))?")

Item = str | Part
"""An unquoted character, or a part that braces do not look into."""


def expand(word: Word) -> list[Word]:
    """The words that a word stands for: itself when it has no braces to expand."""
    if not any(isinstance(part, Text) and not part.quoted and "{" in part.text for part in word.parts):
        return [word]
    items: list[Item] = []
    for part in word.parts:
        if isinstance(part, Text) and not part.quoted:
            items.extend(part.text)
        else:
            items.append(part)
    return [_word(each) for each in _expanded(items)]


def _expanded(items: list[Item]) -> list[list[Item]]:
    for start, item in enumerate(items):
        if item != "{":
            continue
        found = _alternatives(items, start)
        if found is None:
            continue
        alternatives, end = found
        tails = _expanded(items[end:])
        inner = [each for one in alternatives for each in _expanded(one)]
        if len(inner) * len(tails) > MAX_WORDS:
            raise ShellError(f"more than {MAX_WORDS} words (a limit of this simulation)")
        return [[*items[:start], *each, *tail] for each in inner for tail in tails]
    return [items]


def _alternatives(items: list[Item], start: int) -> tuple[list[list[Item]], int] | None:
    """What stands between the brace at ``start`` and its end, and where that is; None when it is to be left alone."""
    depth, parts = 0, [[]]  # type: ignore[var-annotated] # lists of items
    for at in range(start + 1, len(items)):
        item = items[at]
        if item == "}" and not depth:
            if len(parts) > 1:
                return parts, at + 1
            counted = _range(parts[0])
            return (counted, at + 1) if counted is not None else None
        depth += (item == "{") - (item == "}")
        if item == "," and not depth:
            parts.append([])
        else:
            parts[-1].append(item)
    return None


def _range(items: list[Item]) -> list[list[Item]] | None:
    text = "".join(item if isinstance(item, str) else "\0" for item in items)
    match = _RANGE.fullmatch(text)
    if match is None or match[1].isalpha() != match[2].isalpha():
        return None
    letters = match[1].isalpha()
    first, last = (ord(match[1]), ord(match[2])) if letters else (int(match[1]), int(match[2]))
    step = max(1, abs(int(match[3] or 1)))
    if abs(last - first) // step > MAX_WORDS:
        raise ShellError(f"more than {MAX_WORDS} words (a limit of this simulation)")
    padded = not letters and any(re.match(r"-?0\d", one) for one in (match[1], match[2]))
    width = max(len(match[1]), len(match[2])) if padded else 0
    numbers = range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
    return [list(chr(number) if letters else f"{number:0{width}d}") for number in numbers]


def _word(items: list[Item]) -> Word:
    parts: list[Part] = []
    plain: list[str] = []
    for item in items:
        if isinstance(item, str):
            plain.append(item)
            continue
        if plain:
            parts.append(Text("".join(plain), quoted=False))
            plain = []
        parts.append(item)
    if plain:
        parts.append(Text("".join(plain), quoted=False))
    return Word(parts)
