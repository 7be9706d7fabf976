"""What passes between a session and the grading process: one JSON object a line, both ways.

The grading process (:mod:`grader.worker`) reads one :class:`GradeRequest` from standard input. It writes
:class:`Event` lines and, when a check wants something broken, a :class:`FaultCall`, which the
session carries out with its provider and answers with a :class:`FaultReply`: the grading process never holds what could
touch Docker or another learner's cluster.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal


class Outcome(StrEnum):
    """How a check, or a whole attempt, ended."""

    PASSED = "passed"
    FAILED = "failed"
    UNGRADABLE = "ungradable"


@dataclass(frozen=True)
class GradeRequest:
    """One attempt to grade.

    ``checks``: path of the lab's ``checks.py``. ``kubeconfig``: the grader's own, as YAML. ``parameters``: the
    learner's values. ``thresholds``: the lab's. ``seconds``: wall-clock limit of the whole attempt. ``time``: the
    cluster's clock (:mod:`grader.clock`), ``cluster`` for a fork, whose time stands still.
    ``attempt``: an id that marks everything the grader makes in the cluster. ``faults``: those the lab may ask for.
    ``only``: names of checks; empty for all. ``patience``: seconds for which an API server that does not answer is
    waited for. ``mark``: the file of :mod:`grader.mark`, or "". ``part``: the ``whole`` attempt in
    one cluster; or, where the learner's was forked, a ``look`` at it (plan and snapshot, no check), or some ``checks``
    on a fork that is thrown away afterwards (nothing is put back at the end). ``what_ifs``: whether failed checks are
    graded again with what they name, where there are forks (:mod:`grader.replays`). ``what_if``: the change to make
    before the last check of ``only``, one of those that it names; on a fork, since nobody undoes it.
    ``questions``: what the learner was asked to predict and checks measure, each with its options; None: not known.
    ``start``: what there was in the cluster when the lab began (:mod:`grader.inventory`); empty when not known.
    """

    checks: str
    kubeconfig: str
    namespace: str
    parameters: dict[str, Any]
    thresholds: dict[str, Any] = field(default_factory=dict)
    seconds: float = 300.0
    attempt: str = "attempt"
    provider: str = ""
    probe_image: str = "kindling/web:1.0"
    faults: list[str] = field(default_factory=list)
    only: list[str] = field(default_factory=list)
    patience: float = 6.0
    mark: str = ""
    time: Literal["wall", "cluster"] = "wall"
    what_if: str = ""
    what_ifs: bool = False
    part: Literal["whole", "look", "checks"] = "whole"
    questions: dict[str, list[str]] | None = None
    start: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckResult:
    """One check. ``message`` is for the learner: expected, observed, where to look; "" when it passed.

    ``evidence``: what it was decided from (JSON, for the instructor). ``cause``: the internal reason of an ungradable
    check (for the log and the instructor, never for the learner). ``measures``: its numbers by what they count.
    ``happened``: what it measured of the learner's predictions, an option for each question.
    """

    name: str
    title: str
    outcome: Outcome
    points: float
    max_points: float
    message: str = ""
    seconds: float = 0.0
    evidence: list[dict[str, Any]] = field(default_factory=list)
    cause: str = ""
    measures: dict[str, float] = field(default_factory=dict)
    happened: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """The whole attempt. UNGRADABLE as soon as one check is: such an attempt is not counted.

    ``killed``: somebody on this machine ended the grading process before it was done; nothing was learnt.
    """

    outcome: Outcome
    score: float
    max_score: float
    seconds: float
    checks: list[CheckResult]
    snapshot: dict[str, Any] = field(default_factory=dict)
    cause: str = ""
    killed: bool = False


@dataclass(frozen=True)
class Event:
    """A line of the grading process. ``kind``: ``plan`` (checks as name/title/points/what_if), ``started`` (name),
    ``finished`` (a :class:`CheckResult`), ``snapshot`` (what the cluster looked like), ``done``."""

    kind: Literal["plan", "started", "finished", "snapshot", "done"]
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FaultCall:
    """The grading process asks for a fault; ``fault`` "heal" undoes all of them."""

    id: int
    fault: str
    target: str = ""


@dataclass(frozen=True)
class FaultReply:
    """The answer to a :class:`FaultCall`; ``error`` "" means done, ``kind`` "unknown-target" that it is not there."""

    id: int
    error: str = ""
    kind: str = ""


def encode(message: Event | FaultCall | FaultReply | GradeRequest) -> str:
    """One line of JSON, newline included, with the message's type."""
    return json.dumps({"type": type(message).__name__, **dataclasses.asdict(message)}, default=str) + "\n"


def decode(line: str) -> Event | FaultCall | FaultReply | GradeRequest:
    """The message of one line; ``ValueError`` for anything else."""
    try:
        fields = json.loads(line)
        kinds = {kind.__name__: kind for kind in (Event, FaultCall, FaultReply, GradeRequest)}
        made: Event | FaultCall | FaultReply | GradeRequest = kinds[fields.pop("type")](**fields)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"not a message of the grading protocol: {line[:200]!r}") from error
    return made


def check_result(fields: dict[str, Any]) -> CheckResult:
    """A :class:`CheckResult` from its JSON."""
    return CheckResult(**{**fields, "outcome": Outcome(fields["outcome"])})
