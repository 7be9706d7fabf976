"""What a check would have come to if one thing were different, as feedback: ``with the replicas spread over the nodes:
0 failed requests instead of 41``.

A check's author names the changes (``@check(..., what_if={...})``). When the check has failed on a fork of a cluster,
another fork is made of what it began with, one change is made there (:mod:`grader.changes`), and the same check is
graded again. What is compared are the numbers that both have measured (``Evidence.measure``).

It never touches a verdict: it says something about a copy of the learner's cluster, and nothing where the change could
not be made, or the check could not be decided.
"""

from __future__ import annotations

from grader.protocol import CheckResult, Outcome
from grader.text import one_line

LABEL = "What if"
"""Before each of its lines in a message."""
MOST_CHARACTERS = 200
CHANCE = 0.25
"""By what part of it a number may differ and still count as the same, where the check does not pass either way; small
ones by twice the root, as what is counted does."""


def line(wanted: str, was: CheckResult, would_be: CheckResult) -> str:
    """The sentence for a message; "" when nothing can be said."""
    both = [name for name in was.measures if name in would_be.measures]
    if would_be.outcome is Outcome.UNGRADABLE or not both:
        return ""
    said = _compared([(name, was.measures[name], would_be.measures[name]) for name in both])
    if would_be.outcome is Outcome.PASSED:
        said = f"{said}, and this check passes" if said else "this check passes"
    elif not said or _alike(was, would_be, both):
        said = "hardly any difference" if said else "no difference"
    return f"{LABEL}: {one_line(wanted, MOST_CHARACTERS)}: {one_line(said, MOST_CHARACTERS)}"


def _compared(numbers: list[tuple[str, float, float]]) -> str:
    """The first number that is another than it was; "" when all are the same."""
    return next((f"{_counted(now, name)} instead of {before:g}" for name, before, now in numbers if now != before), "")


def _alike(was: CheckResult, would_be: CheckResult, names: list[str]) -> bool:
    """Whether no number differs by more than chance may make of it."""
    numbers = [(was.measures[one], would_be.measures[one]) for one in names]
    return all(abs(now - before) <= max(CHANCE * before, 2 * abs(before) ** 0.5) for before, now in numbers)


def _counted(value: float, what: str) -> str:
    return f"{value:g} {what[:-1] if value == 1 and what.endswith('s') else what}"


def without(message: str) -> str:
    """A check's message without what would be if."""
    return "\n".join(one for one in message.split("\n") if not one.startswith(f"{LABEL}: "))


def lines_of(message: str) -> list[str]:
    """The lines of a check's message that say what would be if."""
    return [one for one in message.split("\n") if one.startswith(f"{LABEL}: ")]
