"""What reports are made of: plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from labs.session.views import AttemptView, PredictionView


@dataclass(frozen=True)
class Cell:
    """One learner in one lab. ``best_score`` None: never graded. ``attempts`` counts those that count.

    ``seconds``: time spent. ``max_score``: the lab's points.
    """

    lab: str
    best_score: float | None
    max_score: float
    attempts: int
    ungradable: int
    seconds: float
    last_activity: datetime | None
    hints: int


@dataclass(frozen=True)
class LearnerRow:
    """One learner of a class. ``score`` and ``max_score`` over all labs. ``removed``: a pseudonym of somebody whose
    account is gone."""

    learner: str
    display_name: str
    email: str
    cells: list[Cell]
    score: float
    max_score: float
    seconds: float
    last_activity: datetime | None
    removed: bool = False


@dataclass(frozen=True)
class Misconception:
    """Something that learners believed. ``learners``: who showed it, of ``asked``: who answered a question that can
    show it. ``labs``: titles of the labs that asked."""

    name: str
    learners: int
    asked: int
    labs: list[str]


@dataclass(frozen=True)
class OptionStatistics:
    """An option of a question. ``chosen``: by so many learners; ``happened``: it came true for so many of those who
    answered."""

    name: str
    text: str
    misconception: str
    chosen: int
    happened: int


@dataclass(frozen=True)
class QuestionStatistics:
    """A question that is answered before anything is touched. ``settled``: answers of which is known what happened;
    ``right``: of these."""

    lab: str
    name: str
    text: str
    points: float
    answered: int
    settled: int
    right: int
    options: list[OptionStatistics]


@dataclass(frozen=True)
class ClassReport:
    """Learners x labs. ``labs``: (name, title, points) in the catalogs' order. ``misconceptions``: what their
    predictions showed, the most frequent first."""

    class_id: str
    name: str
    labs: list[tuple[str, str, float]]
    rows: list[LearnerRow]
    misconceptions: list[Misconception]


@dataclass(frozen=True)
class LearnerReport:
    """One learner: a cell per lab, every attempt (newest first) with each check's evidence and cause, and by lab what
    they predicted."""

    learner: str
    display_name: str
    email: str
    cells: list[Cell]
    attempts: list[AttemptView]
    predictions: dict[str, list[PredictionView]]


@dataclass(frozen=True)
class CheckStatistics:
    """One check of a lab. ``graded``, ``passed``, ``failed`` count in attempts that count; ``pass_rate`` is 0 to 1.

    ``learners``: who were graded on it; ``learners_passed``: who ever passed it. ``frequent``: the most frequent
    failure message (``frequent_count`` times), what varies between learners replaced so that equal mistakes meet.
    """

    name: str
    title: str
    points: float
    graded: int
    passed: int
    failed: int
    ungradable: int
    pass_rate: float | None
    learners: int
    learners_passed: int
    frequent: str
    frequent_count: int


@dataclass(frozen=True)
class LabReport:
    """One lab. ``scores``: each learner's best score, for a distribution. ``attempts`` that counted."""

    lab: str
    title: str
    points: float
    learners: int
    attempts: int
    ungradable: int
    scores: list[float]
    checks: list[CheckStatistics]
    questions: list[QuestionStatistics]
