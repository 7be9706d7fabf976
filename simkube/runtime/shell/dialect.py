"""Which shell a shell is: Debian's dash, busybox's ash, bash. What one of them does not know it refuses as it does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """``extended``: what ash and bash share beyond POSIX (``[[``, ``$'..'``, ``${x/a/b}``); ``bash``: what only bash
    has (arrays, ``((``, here-strings, brace expansion).
    """

    name: str
    extended: bool = False
    bash: bool = False


DASH = Dialect("dash")
ASH = Dialect("ash", extended=True)
BASH = Dialect("bash", extended=True, bash=True)


def of(flavour: str) -> Dialect:
    """What ``sh`` is in an image of a flavour."""
    return DASH if flavour == "debian" else ASH
