"""How attempts end, in words and as verdicts. It decides nothing: who is to blame is found out in
:mod:`labs.session.grading`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from grader.protocol import Outcome, Verdict

UNGRADABLE = (
    "This attempt could not be graded and does not count. Nothing you did is wrong for that reason; check again."
)
STOPPED = "Grading was interrupted; this attempt does not count."
GONE = "The lab's cluster cannot be reached, so this attempt could not be graded and does not count."
AGAIN = "Grading was interrupted by something that is not yours: it begins again by itself."
AGAIN_AS_IT_IS = (
    "Grading was interrupted by something that is not yours. It begins again by itself, with your cluster as it is now "
    "and not as it was."
)
COMING_BACK = (
    "Grading was interrupted by something that is not yours. It begins again by itself when what was ready in your "
    "cluster is ready again."
)
MENDING = (
    "Grading was interrupted by something that is not yours. It begins again by itself when what it had broken has "
    "recovered."
)
NOT_MENDED = (
    "Grading was interrupted by something that is not yours, and what it had broken did not recover in time ({}). This "
    "attempt does not count."
)
TWICE = (
    "Grading was interrupted twice by something that is not yours, so this attempt does not count. Check again, and "
    "tell your instructor if it happens again."
)


@dataclass(frozen=True)
class End:
    """How an attempt ended. ``detail``: for the learner; ``interrupted``: what came between, "" when nothing did."""

    verdict: Verdict
    detail: str = ""
    interrupted: str = ""


def blamed(verdict: Verdict, stopped: Sequence[str]) -> Verdict:
    """A verdict on a cluster of which the learner has stopped something: what it kept from being decided is failed."""
    message = (
        f"Expected: every component of the cluster to run\nObserved: stopped: {', '.join(stopped)}\n"
        "Look: kindling components"
    )
    undecided_checks = (Outcome.UNGRADABLE,)
    failed = {"outcome": Outcome.FAILED, "message": message}
    return _changed(verdict, undecided_checks, failed, f"stopped by the learner: {', '.join(stopped)}; {verdict.cause}")


def ended_early(verdict: Verdict, interrupted: str) -> Verdict:
    """A verdict that decides nothing, since something came between: checks that failed may have failed for it."""
    unknown = {"outcome": Outcome.UNGRADABLE, "message": TWICE, "cause": interrupted}
    doubtful = (Outcome.UNGRADABLE, Outcome.FAILED)
    return _changed(verdict, doubtful, unknown, f"{interrupted}; {verdict.cause}".rstrip("; "))


def _changed(verdict: Verdict, those: Sequence[Outcome], how: Mapping[str, Any], cause: str) -> Verdict:
    checks = [replace(one, **how) if one.outcome in those else one for one in verdict.checks]
    outcome = how["outcome"] if checks else Outcome.UNGRADABLE
    return replace(verdict, outcome=outcome, checks=checks, cause=cause)


def undecided(max_score: float, cause: str) -> Verdict:
    """The verdict when there is none."""
    return Verdict(Outcome.UNGRADABLE, 0.0, max_score, 0.0, [], cause=cause)
