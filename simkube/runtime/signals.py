"""The signals that containers know, by number and name.

Numbers are Linux's on x86-64 and arm64. Real-time signals are not simulated.
"""

from __future__ import annotations

NAMES: dict[int, str] = {
    1: "HUP",
    2: "INT",
    3: "QUIT",
    6: "ABRT",
    9: "KILL",
    10: "USR1",
    12: "USR2",
    13: "PIPE",
    14: "ALRM",
    15: "TERM",
    17: "CHLD",
    18: "CONT",
    19: "STOP",
    20: "TSTP",
    28: "WINCH",
}

HUP, INT, QUIT, ABRT, KILL, USR1, USR2, PIPE, ALRM, TERM, CHLD, CONT, STOP, TSTP, WINCH = NAMES

IGNORED_BY_DEFAULT = frozenset({CHLD, CONT, WINCH})
STOPPING = frozenset({STOP, TSTP})

_NUMBERS = {name: number for number, name in NAMES.items()}


def number_of(text: str) -> int | None:
    """The number of ``TERM``, ``SIGTERM``, ``term`` or ``15``; None for anything else. ``0`` is 0."""
    if text.isdigit():
        number = int(text) if len(text) < 4 else -1
        return number if number == 0 or number in NAMES else None
    name = text.upper()
    return _NUMBERS.get(name.removeprefix("SIG"))
