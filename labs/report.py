"""What an instructor sees: a class, a learner, a lab; the same data for the site, the CSV and the command."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from labs.session.views import AttemptView


@dataclass(frozen=True)
class Cell:
    """One learner in one lab. ``best_score`` None: never graded. ``attempts`` counts those that count."""

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
    """One learner of a class. ``score`` and ``max_score`` over all labs."""

    learner: str
    display_name: str
    email: str
    cells: list[Cell]
    score: float
    max_score: float
    seconds: float
    last_activity: datetime | None


@dataclass(frozen=True)
class ClassReport:
    """Learners x labs. ``labs``: (name, title, points) in the catalog's order."""

    class_id: str
    name: str
    labs: list[tuple[str, str, float]]
    rows: list[LearnerRow]


@dataclass(frozen=True)
class LearnerReport:
    """One learner: a cell per lab, and every attempt (newest first) with each check's evidence and cause."""

    learner: str
    display_name: str
    email: str
    cells: list[Cell]
    attempts: list[AttemptView]


@dataclass(frozen=True)
class CheckStatistics:
    """One check of a lab over the counted attempts. ``pass_rate`` 0..1, None when never graded. ``learners_passed``:
    of the learners who tried, how many ever passed it. ``frequent``: the most frequent failure message, names and
    numbers replaced so that equal mistakes count together; ``frequent_count`` how often."""

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


class Reports:
    """``viewer`` is the account that asks: an instructor sees the classes they teach (``class_id`` None: every learner,
    for admins and the local command), anybody else gets ``NotFound``."""

    def class_report(self, viewer: str, class_id: str | None = None) -> ClassReport:
        """Learners x labs."""
        raise NotImplementedError

    def learner_report(self, viewer: str, learner: str) -> LearnerReport:
        """One learner. A learner may ask for themselves (without evidence and causes)."""
        raise NotImplementedError

    def lab_report(self, viewer: str, lab: str, class_id: str | None = None) -> LabReport:
        """One lab."""
        raise NotImplementedError

    def attempt(self, viewer: str, attempt: str) -> AttemptView:
        """One attempt with evidence; ``NotFound`` unless the viewer teaches its learner."""
        raise NotImplementedError

    def snapshot(self, viewer: str, attempt: str) -> object:
        """What the cluster looked like when the attempt was graded (JSON)."""
        raise NotImplementedError


def class_csv(report: ClassReport) -> str:
    """RFC 4180; see :mod:`labs.csvtext` for how formulas are kept from running."""
    raise NotImplementedError
