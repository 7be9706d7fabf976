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


def line(wanted: str, was: CheckResult, would_be: CheckResult) -> str:
    """The sentence for a message; "" when nothing can be said."""
    if would_be.outcome is Outcome.UNGRADABLE:
        return ""
    said = next(
        (f"{_counted(would_be.measures[name], name)} instead of {value:g}" for name, value in _other(was, would_be)), ""
    )
    if not said:
        said = "this check passes" if would_be.outcome is Outcome.PASSED else "no difference"
    return f"{LABEL}: {one_line(wanted, MOST_CHARACTERS)}: {one_line(said, MOST_CHARACTERS)}"


def _other(was: CheckResult, would_be: CheckResult) -> list[tuple[str, float]]:
    """What both have measured and is not the same, in the order of measuring."""
    return [(name, value) for name, value in was.measures.items() if would_be.measures.get(name, value) != value]


def _counted(value: float, what: str) -> str:
    return f"{value:g} {what[:-1] if value == 1 and what.endswith('s') else what}"


def without(message: str) -> str:
    """A check's message without what would be if."""
    return "\n".join(one for one in message.split("\n") if not one.startswith(f"{LABEL}: "))


def lines_of(message: str) -> list[str]:
    """The lines of a check's message that say what would be if."""
    return [one for one in message.split("\n") if one.startswith(f"{LABEL}: ")]
