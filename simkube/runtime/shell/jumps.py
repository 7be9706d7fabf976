"""``break``, ``continue`` and ``return`` on their way to the loop or function that they concern."""

from __future__ import annotations


class Jump(Exception):
    """``break``, ``continue`` (of ``levels`` loops) and ``return`` (with a status)."""

    def __init__(self, kind: str, levels: int = 1, status: int = 0) -> None:
        super().__init__(kind)
        self.kind = kind
        self.levels = levels
        self.status = status


def leaves(jump: Jump) -> bool:
    """Whether a loop ends at ``break``; lets through what concerns outer loops and functions."""
    if jump.kind == "return":
        raise jump
    if jump.levels > 1:
        jump.levels -= 1
        raise jump
    return jump.kind == "break"
