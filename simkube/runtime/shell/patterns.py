"""Shell patterns (``*``, ``?``, ``[a-z]``), matched in time linear in pattern times text, whatever a user writes.

A pattern is text in which a backslash makes the next character literal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

_CLASSES: dict[str, Callable[[str], bool]] = {
    "alpha": str.isalpha,
    "digit": str.isdigit,
    "alnum": str.isalnum,
    "upper": str.isupper,
    "lower": str.islower,
    "space": str.isspace,
    "punct": lambda c: c.isprintable() and not c.isalnum() and not c.isspace(),
}


class CharSet:
    """``[...]``."""

    __slots__ = ("_chars", "_classes", "_negated", "_ranges")

    def __init__(self, negated: bool) -> None:
        self._negated = negated
        self._chars: set[str] = set()
        self._ranges: list[tuple[str, str]] = []
        self._classes: list[str] = []

    def add(self, char: str) -> None:
        """One character."""
        self._chars.add(char)

    def add_range(self, first: str, last: str) -> None:
        """``a-z``."""
        self._ranges.append((first, last))

    def add_class(self, name: str) -> bool:
        """``[:name:]``; False when there is no such class."""
        if name in _CLASSES:
            self._classes.append(name)
            return True
        return False

    def matches(self, char: str) -> bool:
        """Whether a character is in it."""
        found = (
            char in self._chars
            or any(first <= char <= last for first, last in self._ranges)
            or any(_CLASSES[name](char) for name in self._classes)
        )
        return found != self._negated


class Pattern:
    """A compiled pattern."""

    def __init__(self, text: str) -> None:
        self._steps: list[tuple[str, str | CharSet]] = list(_compile(text))

    @property
    def literal(self) -> str | None:
        """The text it stands for when it has no special characters."""
        if all(kind == "char" for kind, _ in self._steps):
            return "".join(str(value) for _, value in self._steps)
        return None

    @property
    def starred(self) -> bool:
        """Whether it has a star."""
        return any(kind == "star" for kind, _ in self._steps)

    def matches(self, text: str) -> bool:
        """Whether the whole text matches."""
        literal = self.literal
        return text == literal if literal is not None else len(text) in self._ends(text, self._steps)

    def prefix(self, text: str, *, longest: bool) -> int | None:
        """The length of the shortest or longest prefix that matches; None for none."""
        ends = self._ends(text, self._steps)
        return (max(ends) if longest else min(ends)) if ends else None

    def suffix(self, text: str, *, longest: bool) -> int | None:
        """The length of the shortest or longest suffix that matches; None for none."""
        ends = self._ends(text[::-1], self._steps[::-1])
        return (max(ends) if longest else min(ends)) if ends else None

    @staticmethod
    def _ends(text: str, steps: list[tuple[str, str | CharSet]]) -> set[int]:
        """Every length of a prefix of the text that matches all steps."""
        total = len(steps)
        states = _closure({0}, steps)
        ends = {0} if total in states else set()
        for at, char in enumerate(text, 1):
            following: set[int] = set()
            for state in states:
                if state == total:
                    continue
                kind, value = steps[state]
                if kind == "star":
                    following.add(state)
                elif kind == "any" or (value == char if isinstance(value, str) else value.matches(char)):
                    following.add(state + 1)
            if not following:
                break
            states = _closure(following, steps)
            if total in states:
                ends.add(at)
        return ends


def _closure(states: set[int], steps: list[tuple[str, str | CharSet]]) -> set[int]:
    found = set(states)
    for state in states:
        while state < len(steps) and steps[state][0] == "star":
            state += 1
            found.add(state)
    return found


def _compile(text: str) -> Iterator[tuple[str, str | CharSet]]:
    at = 0
    previous_star = False
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*":
            if not previous_star:
                yield "star", ""
            previous_star = True
            continue
        previous_star = False
        if char == "\\" and at < len(text):
            yield "char", text[at]
            at += 1
        elif char == "?":
            yield "any", ""
        elif char == "[":
            found = bracket(text, at)
            if found is None:
                yield "char", "["
            else:
                yield "set", found[0]
                at = found[1]
        else:
            yield "char", char


def bracket(text: str, at: int, *, escapes: bool = True) -> tuple[CharSet, int] | None:
    """The set whose text begins at ``at`` (after ``[``) and the position after it; None when it does not end."""
    negated = text[at : at + 1] in ("!", "^")
    found = CharSet(negated)
    at += negated
    first = True
    while at < len(text):
        char = text[at]
        if char == "]" and not first:
            return found, at + 1
        first = False
        if char == "[" and text.startswith("[:", at):
            end = text.find(":]", at)
            if end > 0 and found.add_class(text[at + 2 : end]):
                at = end + 2
                continue
        if char == "\\" and escapes and at + 1 < len(text):
            at += 1
            char = text[at]
        if text[at + 1 : at + 2] == "-" and text[at + 2 : at + 3] not in ("]", ""):
            last = text[at + 2]
            at += 3
            if last == "\\" and escapes and at < len(text):
                last = text[at]
                at += 1
            found.add_range(char, last)
        else:
            found.add(char)
            at += 1
    return None


def escape(text: str) -> str:
    """A pattern that matches exactly ``text``."""
    if not any(char in "*?[]\\" for char in text):
        return text
    return "".join(f"\\{char}" if char in "*?[]\\" else char for char in text)


def has_magic(pattern: str) -> bool:
    """Whether a pattern could match anything but one text."""
    skip = False
    for char in pattern:
        if skip:
            skip = False
        elif char == "\\":
            skip = True
        elif char in "*?[":
            return True
    return False
