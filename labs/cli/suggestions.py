"""The commands that we suggest, for the learner whom this command works for.

Services below say ``kindling start LAB`` and know nothing of the command's options. Whoever works for another learner
than their own gets every such command with ``--learner NAME``, in messages, in what mends them, and in what comes next.
It refuses to look at text that is not ours: instructions, hints and what a check found are printed as they are.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

# Held by a test to the commands that have --learner.
WITH_LEARNER = (
    "labs", "start", "status", "shell", "kubectl", "check", "hint", "reset", "stop", "extend", "clock", "trace",
    "components", "predict",
)  # fmt: skip
_SUGGESTED = re.compile(rf"\bkindling (?:{'|'.join(WITH_LEARNER)})\b(?: [a-z0-9][a-z0-9-]*)?")
_other: ContextVar[str] = ContextVar("other learner", default="")


def work_for(learner: str) -> None:
    """From now on suggest for this learner; "" for whoever sits here."""
    _other.set(learner)


def worked_for() -> str:
    """The learner named last; "" for whoever sits here."""
    return _other.get()


def suggested(text: str) -> str:
    """The text, its ``kindling COMMAND LAB`` with ``--learner NAME`` where that is needed."""
    learner = _other.get()
    return _SUGGESTED.sub(lambda found: f"{found[0]} --learner {learner}", text) if learner else text


def whose() -> str:
    """`` for NAME`` when it is another learner's; "" otherwise."""
    return f" for {_other.get()}" if _other.get() else ""
