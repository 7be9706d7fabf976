"""What the command and the site see of sessions and attempts: plain frozen data, safe to keep and to pass around."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from labs.definition import Option


@dataclass(frozen=True)
class StepView:
    """One step of bringing a cluster up. ``state``: waiting, running, done, failed. ``seconds``: so far, or in all."""

    name: str
    state: str
    seconds: float


@dataclass(frozen=True)
class SessionView:
    """One learner's lab as it is now.

    ``state``: provisioning, ready, resetting, stopping, stopped, failed, expired. ``detail``: a sentence when there is
    something to say; ``fix``: a command that mends it, or "". ``working``: some process is driving it at this moment.
    ``best_score``: of counted attempts, ``None`` before the first; ``attempts``: how many count; ``uncounted``: the
    numbers of those that do not. Times are UTC.
    """

    id: str
    learner: str
    lab: str
    provider: str
    state: str
    detail: str
    fix: str
    working: bool
    steps: list[StepView]
    created_at: datetime
    ready_at: datetime | None
    expires_at: datetime
    ended_at: datetime | None
    seconds_left: float
    parameters: dict[str, Any]
    attempts: int
    uncounted: list[int]
    best_score: float | None
    max_score: float
    hints_taken: int

    @property
    def settled(self) -> bool:
        """Nothing is under way: it is ready, gone, or needs somebody's decision."""
        return self.state in ("ready", "stopped", "failed", "expired")

    @property
    def live(self) -> bool:
        """It has not ended."""
        return self.ended_at is None

    @property
    def not_counted(self) -> str:
        """Which attempts do not count, so that nobody wonders about their numbers; "" when all do."""
        if not self.uncounted:
            return ""
        *most, last = map(str, self.uncounted)
        if not most:
            return f"Attempt {last} could not be graded and does not count."
        return f"Attempts {', '.join(most)} and {last} could not be graded and do not count."


@dataclass(frozen=True)
class CheckView:
    """One check of an attempt. ``state``: waiting, running, done. ``outcome``: passed, failed, ungradable, None until
    done.

    ``evidence`` and ``cause`` are filled in for instructors only (reports), never for the learner.
    """

    name: str
    title: str
    state: str
    outcome: str | None
    points: float
    max_points: float
    message: str
    seconds: float
    evidence: list[dict[str, Any]] = field(default_factory=list)
    cause: str = ""


@dataclass(frozen=True)
class AttemptView:
    """Something handed in. ``state``: wanted, running, done. ``number``: counted from 1 for this learner and lab.

    ``counted``: false while ungradable. ``seconds``: how long grading took, or has taken so far. ``before``: how many
    are graded before it while it waits for a grader, else ``None``.
    """

    id: str
    session: str
    learner: str
    lab: str
    provider: str
    number: int
    state: str
    outcome: str | None
    counted: bool
    score: float
    max_score: float
    seconds: float
    wanted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    checks: list[CheckView]
    detail: str = ""
    cause: str = ""
    before: int | None = None

    @property
    def waiting(self) -> str:
        """Its place among those that wait for a grader, in words; "" when it does not wait."""
        if self.before is None:
            return ""
        return f"waiting: {self.before} before you" if self.before else "waiting: you are next"


@dataclass(frozen=True)
class HintView:
    """A hint: ``number`` of ``of`` for this check. ``more``: there is a stronger one. ``new``: not shown before."""

    check: str
    title: str
    number: int
    of: int
    text: str
    more: bool
    new: bool


@dataclass(frozen=True)
class PredictionView:
    """A question that is answered before anything is touched. ``open``: it can still be answered.

    ``answer``: the learner's option; ``happened``: what came true, shown by the attempt of this number; both None until
    then. ``points``: what a right answer is worth.
    """

    name: str
    text: str
    options: tuple[Option, ...]
    points: float
    answer: Option | None
    answered_at: datetime | None
    happened: Option | None
    attempt: int | None
    open: bool

    @property
    def right(self) -> bool | None:
        """Whether it came true; None while nobody knows, and for a question that was not answered."""
        if self.answer is None or self.happened is None:
            return None
        return self.answer.name == self.happened.name

    @property
    def misconception(self) -> str:
        """What the learner believes, by a wrong answer; "" otherwise."""
        return self.answer.misconception if self.answer is not None and self.right is False else ""

    @property
    def feedback(self) -> str:
        """What to say to it once it is known; to who did not answer, too."""
        if self.happened is None:
            return ""
        if self.answer is not None and self.right is False:
            return self.answer.feedback or self.happened.feedback
        return self.happened.feedback
