"""How a lab's author marks a check, and says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from grader import limits
from grader.errors import CheckFailed, CheckFailedForGood
from grader.text import one_line, plain

Change = Callable[..., object]
Test = TypeVar("Test", bound=Callable[..., Any])
MARK = "__kindling_check__"


@dataclass(frozen=True)
class Check:
    """What :func:`check` says about a test. ``name``: the function's, without ``test_``, with dashes. ``what_if``:
    single changes to what the learner made, by the words that say what is different then. ``after``: the name of the
    check that it builds on, or ""."""

    name: str
    title: str
    points: float
    what_if: Mapping[str, Change] = field(default_factory=dict)
    after: str = ""


def check(
    *, points: float, title: str, what_if: Mapping[str, Change] | None = None, after: str = ""
) -> Callable[[Test], Test]:
    """Mark a test function as a check worth ``points``; ``title`` is what the learner reads. ``ValueError`` when
    the points are negative, the title is empty or the function is not named ``test_...``.

    ``what_if`` (:mod:`grader.what_if`): ``{"with one replica more": function}``; the function takes fixtures by name.

    A check is independent: where a cluster can be forked, each has one of its own, as it was handed in, and they run
    side by side. One that builds on what another has done says so: ``after="rolling-update"``, the name of a check
    before it; both meet the same cluster, one after the other.
    """

    def mark(test: Test) -> Test:
        if points < 0 or not title.strip() or not test.__name__.startswith("test_"):
            raise ValueError(f"{test.__name__}: a check is named test_..., has a title and points of at least 0")
        name = test.__name__.removeprefix("test_").replace("_", "-")
        setattr(test, MARK, Check(name, title.strip(), float(points), dict(what_if or {}), after))
        return test

    return mark


def of(test: object) -> Check | None:
    """What the author said about a test function; None for a function that is no check."""
    found = getattr(test, MARK, None)
    return found if isinstance(found, Check) else None


def fail(*, expected: object, observed: object | Callable[[], object], look: str = "", final: bool = False) -> NoReturn:
    """Fail the check: what was asked for, what there is instead, and the command or place that shows it.

    Learner's words inside go through ``quoted`` first. Never say the solution. ``observed``: a function, where it takes
    requests to find out, is called when somebody reads it. ``final``: it is no use to ask again, so that ``poll`` does
    not.
    """
    kind = CheckFailedForGood if final else CheckFailed
    if callable(observed):
        raise kind(lambda: _message(expected, observed(), look))
    raise kind(_message(expected, observed, look))


def _message(expected: object, observed: object, look: str) -> str:
    most = limits.PART_CHARACTERS
    lines = [f"Expected: {one_line(expected, most)}", f"Observed: {one_line(observed, most)}"]
    if look:
        lines.append(f"Look: {look}")
    return plain("\n".join(lines))
