"""Failed checks graded again, each time with one thing different, for the feedback that :mod:`grader.what_if` words.

Everything is bounded: how many replays an attempt gets, how many of them one check, and how long all of them may take.
They come after the verdict and never change it: a replay that goes wrong says nothing, and only what the message and
the evidence of a failed check say grows.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from grader.protocol import CheckResult, Outcome, Verdict
from grader.what_if import line

log = logging.getLogger(__name__)

MOST, MOST_OF_ONE = 8, 3
"""Replays of an attempt, and of one check."""
SECONDS = 10.0
"""Wall seconds for all of them: the learner waits for these."""


@dataclass(frozen=True)
class Replay:
    """One check to grade again. ``names``: the checks that it builds on, in order, and itself; ``what_if``: the words
    of the change."""

    names: tuple[str, ...]
    what_if: str


Again = Callable[[Replay, Callable[[], bool]], CheckResult | None]
"""Grades a check again on a copy of its own, unless or until it is told that nobody wants to know any more."""


def chosen(plan: Sequence[Mapping[str, Any]], chains: Sequence[Sequence[str]], verdict: Verdict) -> list[Replay]:
    """What is worth to be graded again: of each check that failed, and got as far as measuring something, the changes
    in the author's order; first ones first."""
    wishes = {str(one["name"]): [str(words) for words in one.get("what_if") or []] for one in plan}
    failed = [one.name for one in verdict.checks if one.outcome is Outcome.FAILED and one.measures]
    before = {name: tuple(chain[: chain.index(name) + 1]) for chain in chains for name in chain}
    rounds = itertools.zip_longest(
        *([Replay(before[name], words) for words in wishes.get(name, [])[:MOST_OF_ONE]] for name in failed)
    )
    return [replay for one in rounds for replay in one if replay is not None][:MOST]


def with_what_ifs(verdict: Verdict, replays: Sequence[Replay], again: Again, pool: Executor) -> Verdict:
    """The verdict, with what came of the replays in the messages of its failed checks."""
    until = time.monotonic() + SECONDS
    unwanted = lambda: time.monotonic() > until  # noqa: E731
    running = [(replay, pool.submit(again, replay, unwanted)) for replay in replays]
    ended = [(replay, _result(replay, future)) for replay, future in running]
    found = {
        one.name: [
            (replay.what_if, would_be) for replay, would_be in ended if replay.names[-1] == one.name and would_be
        ]
        for one in verdict.checks
    }
    return dataclasses.replace(verdict, checks=[_told(one, found[one.name]) for one in verdict.checks])


def _result(replay: Replay, future: Future[CheckResult | None]) -> CheckResult | None:
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 - whatever it is, the verdict stands
        log.info("%s could not be graded again %s: %s", replay.names[-1], replay.what_if, error)
        return None


def _told(was: CheckResult, found: Sequence[tuple[str, CheckResult]]) -> CheckResult:
    lines = [said for words, would_be in found if (said := line(words, was, would_be))]
    evidence = [
        {"what": "what if", "change": words, "outcome": str(one.outcome), "measures": one.measures, "cause": one.cause}
        for words, one in found
    ]
    return dataclasses.replace(was, message="\n".join([was.message, *lines]), evidence=[*was.evidence, *evidence])
