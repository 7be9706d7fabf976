"""Flags as Go's programs take them: ``--name=value``, ``-name value`` or ``--name`` alone."""

from __future__ import annotations


def flags(arguments: list[str]) -> dict[str, str]:
    """By name without dashes; the value of a flag that stands alone is ""."""
    found: dict[str, str] = {}
    left = list(arguments)
    while left:
        name, equals, value = left.pop(0).lstrip("-").partition("=")
        if not equals and left and not left[0].startswith("-"):
            value = left.pop(0)
        found[name] = value
    return found
