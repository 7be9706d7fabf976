"""What parameter expansion makes of a value: ``${x#a}``, ``${x:1:2}``, ``${x/a/b}``, ``${x^^}``, ``${x@Q}``."""

from __future__ import annotations

from simkube.runtime.shell.patterns import Pattern
from simkube.runtime.shell.state import ShellError

MAX_STARRED = 256
"""The same where the pattern has a star: each place may be tried up to the end."""
MAX_REPLACED = 4096
"""Characters of a text in which a pattern (not a plain text) is looked for everywhere."""


def trimmed(value: str, kind: str, longest: bool, pattern: Pattern) -> str:
    """Without the prefix (``#``) or suffix that matches."""
    size = pattern.prefix(value, longest=longest) if kind == "#" else pattern.suffix(value, longest=longest)
    if size is None:
        return value
    return value[size:] if kind == "#" else value[: len(value) - size]


def sliced_text(value: str, start: int, length: int | None) -> str:
    """``${x:start:length}``; a negative start or length counts from the end. ShellError."""
    start = len(value) + start if start < 0 else start
    if start < 0 or start > len(value):
        return ""
    end = len(value) if length is None else start + length if length >= 0 else len(value) + length
    if end < start:
        raise ShellError(f"{length}: substring expression < 0", 1)
    return value[start:end]


def sliced(values: list[str], start: int, length: int | None, *, positional: str | None) -> list[str]:
    """``${@:start:length}`` (where the first is number 1, and 0 is ``positional``), ``${a[@]:start:length}``."""
    if positional is not None:
        values = [positional, *values]
    start = max(0, len(values) + start) if start < 0 else start
    if length is not None and length < 0:
        raise ShellError(f"{length}: substring expression < 0", 1)
    return values[start:] if length is None else values[start : start + length]


def replaced(value: str, op: str, pattern: Pattern, replacement: str) -> str:
    """``${x/a/b}``: the first match, every one (``//``), at the start (``/#``) or end (``/%``); the longest each."""
    if op in ("/#", "/%"):
        size = pattern.prefix(value, longest=True) if op == "/#" else pattern.suffix(value, longest=True)
        if size is None:
            return value
        return replacement + value[size:] if op == "/#" else value[: len(value) - size] + replacement
    literal = pattern.literal
    if literal is not None:
        return value.replace(literal, replacement, -1 if op == "//" else 1) if literal else value
    if len(value) > (MAX_STARRED if pattern.starred else MAX_REPLACED):
        raise ShellError("text too long for ${x/pattern/} (a limit of this simulation)")
    found: list[str] = []
    at = 0
    while at < len(value):
        size = pattern.prefix(value[at:], longest=True)
        if not size:
            found.append(value[at])
            at += 1
            continue
        found.append(replacement)
        at += size
        if op == "/":
            break
    return "".join(found) + value[at:]


def cased(value: str, op: str, pattern: Pattern | None) -> str:
    """``${x^}``, ``${x^^}``, ``${x,}``, ``${x,,}``: the first or every character (that the pattern matches)."""

    def changed(char: str) -> str:
        if pattern is not None and not pattern.matches(char):
            return char
        return char.upper() if op[0] == "^" else char.lower()

    if len(op) == 2:
        return "".join(changed(char) for char in value)
    return changed(value[:1]) + value[1:] if value else ""


def transformed(value: str, operator: str) -> str:
    """``${x@Q}``, ``@U``, ``@u``, ``@L``; ShellError for others."""
    if operator == "Q":
        return "'" + value.replace("'", "'\\''") + "'"
    if operator in ("U", "L"):
        return value.upper() if operator == "U" else value.lower()
    if operator == "u":
        return value[:1].upper() + value[1:]
    raise ShellError(f"${{parameter@{operator}}} is not simulated", 1)
