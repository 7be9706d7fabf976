"""From how a check ended to its outcome, and from the checks to the attempt's verdict.

The rule that nothing here may break: only a check that ran to its end and did not object has passed. What the learner
did wrong is failed; everything else, whatever it is, is ungradable.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from grader import limits
from grader.errors import Missing, Obstructed, Refused, TooLarge, Ungradable, is_rule
from grader.protocol import CheckResult, Outcome, Verdict
from grader.shapes import Fields, fields, whole
from grader.text import plain, quoted

RULES = (
    "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicybindings; "
    "kubectl get resourcequotas,limitranges --all-namespaces"
)
NOT_COUNTED = "This attempt does not count; try again, and tell your instructor if it happens again."


@dataclass(frozen=True)
class Judgement:
    """How one phase of a check ended."""

    outcome: Outcome
    message: str = ""
    cause: str = ""


PASSED = Judgement(Outcome.PASSED)


def judge(error: BaseException, title: str, trace: str = "") -> Judgement:
    """What ``error``, raised by a check titled ``title``, means. ``trace``: the cause, if that makes it ungradable."""
    refused = _refused(error)
    if refused:
        return Judgement(Outcome.FAILED, plain(str(Obstructed(f"it refuses: {quoted(refused, 400)}", RULES))))
    if isinstance(error, Ungradable) and not isinstance(error, Missing):
        return ungradable(error.said, f"{type(error).__name__}: {error}")
    missing = _missing(error)
    if missing:
        return Judgement(Outcome.FAILED, plain(missing))
    if isinstance(error, MemoryError):
        return Judgement(Outcome.FAILED, plain(str(TooLarge("all that this check looks at", limits.MEMORY_BYTES))))
    if isinstance(error, AssertionError):
        return Judgement(Outcome.FAILED, plain(str(error).strip() or f"This does not hold: {title}"))
    return ungradable("the check itself has an error", trace or repr(error))


def ungradable(said: str, cause: str) -> Judgement:
    """Not decided: ``said`` is for the learner, ``cause`` for the log."""
    return Judgement(
        Outcome.UNGRADABLE, plain(f"Not graded: {said}. {NOT_COUNTED}"), plain(cause, limits.CAUSE_CHARACTERS)
    )


def _refused(error: BaseException) -> str:
    """The rule of the cluster's that refuses what the grader does, whichever client says so; "" for any other error."""
    if isinstance(error, Refused):
        return error.rule
    status, said = _of_client(error)
    message = str(said.get("message") or f"status {status}")
    return message if is_rule(status, message) else ""


def _of_client(error: BaseException) -> tuple[int, Fields]:
    """Status and body of an error of the official client; 0 for any other error."""
    if not type(error).__module__.startswith("kubernetes."):
        return 0, {}
    try:
        return whole(getattr(error, "status", 0)), fields(json.loads(getattr(error, "body", "") or "{}"))
    except (ValueError, TypeError, RecursionError):
        return whole(getattr(error, "status", 0)), {}


def _missing(error: BaseException) -> str:
    """The message for an object that is not there, whichever client says so; "" for any other error."""
    kind, name = "", ""
    if isinstance(error, Missing):
        kind, name = error.kind, error.name
    elif _of_client(error)[0] == 404:
        details = fields(_of_client(error)[1].get("details"))
        kind, name = str(details.get("kind", "")), str(details.get("name", ""))
    return f"Expected: {kind} {name} to exist\nObserved: there is none\nLook: kubectl get {kind}" if name else ""


def combine(phases: Sequence[Judgement]) -> Judgement:
    """Of a check's set-up, call and tear-down: ungradable if any was, else failed if any was."""
    for outcome in (Outcome.UNGRADABLE, Outcome.FAILED):
        for one in phases:
            if one.outcome is outcome:
                return one
    return PASSED


def total(checks: Sequence[CheckResult], seconds: float, snapshot: dict[str, object], cause: str = "") -> Verdict:
    """The attempt's verdict: points add up per check; one ungradable check makes it ungradable, and so do no checks."""
    outcomes = {one.outcome for one in checks}
    if not checks or Outcome.UNGRADABLE in outcomes:
        outcome = Outcome.UNGRADABLE
    else:
        outcome = Outcome.FAILED if Outcome.FAILED in outcomes else Outcome.PASSED
    return Verdict(
        outcome=outcome,
        score=round(sum(one.points for one in checks), 6),
        max_score=round(sum(one.max_points for one in checks), 6),
        seconds=round(seconds, 3),
        checks=list(checks),
        snapshot=dict(snapshot),
        cause=cause or next((one.cause for one in checks if one.cause), ""),
    )
