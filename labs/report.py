"""What an instructor sees: a class, a learner, a lab; the same data for the site, the CSV and the command.

Only attempts that count enter scores and rates. Nobody sees a learner whom they do not teach.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction

from labs import csvtext
from labs.accounts import taught
from labs.errors import NotFound
from labs.library import Library
from labs.records.database import Database
from labs.records.models import Activity, Attempt, CheckRecord, HintTaken, Membership, Session, User
from labs.session.show import attempt_view
from labs.session.views import AttemptView

PAUSE = timedelta(minutes=10)  # a longer gap between two things done is not counted as time spent


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
    """Learners x labs. ``labs``: (name, title, points) in the catalogs' order."""

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


@dataclass(frozen=True)
class Reports:
    """``viewer`` is the account that asks. ``class_id`` None means everybody: for admins, and for the local command
    (``viewer`` None). Whoever asks for what they do not teach gets ``NotFound``."""

    records: Database
    labs: Library
    now: Callable[[], datetime]

    def class_report(self, viewer: str | None, class_id: str | None = None) -> ClassReport:
        """Learners x labs."""
        with self.records.read() as tx:
            users, name = self._learners(tx, viewer, class_id)
            labs = self._labs(tx, [user.id for user in users])
            rows = [self._row(user, cells) for user, cells in zip(users, self._cells(tx, users, labs), strict=True)]
        return ClassReport(class_id or "", name, labs, rows)

    def learner_report(self, viewer: str | None, learner: str) -> LearnerReport:
        """One learner, for who teaches them; learners may ask for themselves, and get neither evidence nor causes."""
        with self.records.read() as tx:
            user = tx.scalar(select(User).where(User.name == learner))
            if user is None or not (viewer == learner or self._teaches(tx, viewer, user.id)):
                raise NotFound("there is no such learner of yours")
            instructor = self._teaches(tx, viewer, user.id)
            cells = self._cells(tx, [user], self._labs(tx, [user.id]))[0]
            query = select(Attempt).where(Attempt.user_id == user.id)
            query = query.order_by(Attempt.wanted_at.desc(), Attempt.number.desc())
            attempts = [attempt_view(tx, row, self.now(), instructor=instructor) for row in tx.scalars(query)]
            return LearnerReport(user.name, user.display_name or user.name, user.email or "", cells, attempts)

    def lab_report(self, viewer: str | None, lab: str, class_id: str | None = None) -> LabReport:
        """One lab over a class."""
        found = self.labs.get(lab)
        with self.records.read() as tx:
            users, _ = self._learners(tx, viewer, class_id)
            mine = (Attempt.lab == lab, Attempt.state == "done", Attempt.user_id.in_([user.id for user in users]))
            attempts = tx.scalars(select(Attempt).where(*mine)).all()
            joined = select(CheckRecord, Attempt).join(Attempt, CheckRecord.attempt_id == Attempt.id).where(*mine)
            records = [(check, attempt) for check, attempt in tx.execute(joined.order_by(CheckRecord.position))]
        best: dict[int, float] = {}
        for attempt in attempts:
            if attempt.counted:
                best[attempt.user_id] = max(best.get(attempt.user_id, 0.0), attempt.score)
        counted = sum(attempt.counted for attempt in attempts)
        names = [info.name for info in found.checks]
        return LabReport(
            lab=lab,
            title=found.title,
            points=found.points,
            learners=len({attempt.user_id for attempt in attempts}),
            attempts=counted,
            ungradable=len(attempts) - counted,
            scores=sorted(best.values()),
            checks=_statistics(records, names),
        )

    def attempt(self, viewer: str | None, attempt: str) -> AttemptView:
        """One attempt with its evidence; ``NotFound`` unless the viewer teaches its learner."""
        with self.records.read() as tx:
            return attempt_view(tx, self._attempt(tx, viewer, attempt), self.now(), instructor=True)

    def snapshot(self, viewer: str | None, attempt: str) -> Any:
        """What the cluster looked like when the attempt was graded (JSON), or None."""
        with self.records.read() as tx:
            row = self._attempt(tx, viewer, attempt)
            return tx.scalar(select(Attempt.snapshot).where(Attempt.id == row.id))

    # Inside

    def _attempt(self, tx: Transaction, viewer: str | None, attempt: str) -> Attempt:
        row = tx.get(Attempt, attempt)
        if row is None or not self._teaches(tx, viewer, row.user_id):
            raise NotFound("there is no such attempt")
        return row

    def _learners(self, tx: Transaction, viewer: str | None, class_id: str | None) -> tuple[Sequence[User], str]:
        if class_id is not None:
            if viewer is None:
                raise NotFound("there is no such class of yours")
            row = taught(tx, class_id, viewer)
            query = select(User).join(Membership).where(Membership.class_id == row.id, Membership.role == "learner")
            return tx.scalars(query.order_by(User.name)).all(), row.name
        if viewer is not None and tx.scalar(select(User.role).where(User.name == viewer)) != "admin":
            raise NotFound("there is no such class of yours")
        tried = select(Session.user_id).union(select(Attempt.user_id), select(Activity.user_id))
        query = select(User).where((User.role == "learner") | User.id.in_(tried))
        return tx.scalars(query.order_by(User.name)).all(), "Everybody"

    def _teaches(self, tx: Transaction, viewer: str | None, user_id: int) -> bool:
        if viewer is None:
            return True
        who = tx.scalar(select(User).where(User.name == viewer))
        if who is None:
            return False
        if who.role == "admin":
            return True
        theirs = select(Membership.class_id).where(Membership.user_id == who.id, Membership.role == "instructor")
        member = (Membership.user_id == user_id, Membership.role == "learner", Membership.class_id.in_(theirs))
        return tx.scalar(select(Membership.class_id).where(*member).limit(1)) is not None

    def _labs(self, tx: Transaction, users: Sequence[int]) -> list[tuple[str, str, float]]:
        """The labs there are, then those that were handed in but are gone."""
        labs = [(lab.name, lab.title, lab.points) for lab in self.labs.all()]
        known = {name for name, _, _ in labs}
        gone = select(Attempt.lab, func.max(Attempt.max_score)).where(Attempt.user_id.in_(users)).group_by(Attempt.lab)
        return labs + [(name, name, points) for name, points in tx.execute(gone) if name not in known]

    def _cells(self, tx: Transaction, users: Sequence[User], labs: list[tuple[str, str, float]]) -> list[list[Cell]]:
        ids = [user.id for user in users]
        attempts: dict[tuple[int, str], list[Attempt]] = defaultdict(list)
        for attempt in tx.scalars(select(Attempt).where(Attempt.user_id.in_(ids), Attempt.state == "done")):
            attempts[attempt.user_id, attempt.lab].append(attempt)
        moments: dict[tuple[int, str], list[datetime]] = defaultdict(list)
        for activity in tx.scalars(select(Activity).where(Activity.user_id.in_(ids)).order_by(Activity.at)):
            moments[activity.user_id, activity.lab].append(activity.at)
        taken = select(Session.user_id, Session.lab, func.count()).join(HintTaken, HintTaken.session_id == Session.id)
        grouped = tx.execute(taken.where(Session.user_id.in_(ids)).group_by(Session.user_id, Session.lab))
        hints = {(user, lab): count for user, lab, count in grouped}
        return [
            [
                _cell(name, points, attempts[user.id, name], moments[user.id, name], hints.get((user.id, name), 0))
                for name, _, points in labs
            ]
            for user in users
        ]

    def _row(self, user: User, cells: list[Cell]) -> LearnerRow:
        last = [cell.last_activity for cell in cells if cell.last_activity]
        return LearnerRow(
            learner=user.name,
            display_name=user.display_name or user.name,
            email=user.email or "",
            cells=cells,
            score=sum(cell.best_score or 0.0 for cell in cells),
            max_score=sum(cell.max_score for cell in cells),
            seconds=sum(cell.seconds for cell in cells),
            last_activity=max(last) if last else None,
        )


def _cell(lab: str, points: float, attempts: list[Attempt], moments: list[datetime], hints: int) -> Cell:
    counted = [attempt for attempt in attempts if attempt.counted]
    ends = [attempt.finished_at for attempt in attempts if attempt.finished_at]
    starts = [attempt.wanted_at for attempt in attempts]
    all_moments = sorted([*moments, *starts, *ends])
    return Cell(
        lab=lab,
        best_score=max((attempt.score for attempt in counted), default=None),
        max_score=points,
        attempts=len(counted),
        ungradable=len(attempts) - len(counted),
        seconds=time_spent(all_moments),
        last_activity=all_moments[-1] if all_moments else None,
        hints=hints,
    )


def time_spent(moments: Sequence[datetime]) -> float:
    """Seconds between the first and the last of sorted moments, gaps longer than :data:`PAUSE` counted as none."""
    gaps = (later - earlier for earlier, later in pairwise(moments))
    return sum(gap.total_seconds() for gap in gaps if gap <= PAUSE)


def _statistics(records: Sequence[tuple[CheckRecord, Attempt]], names: list[str]) -> list[CheckStatistics]:
    by_name: dict[str, list[tuple[CheckRecord, Attempt]]] = {name: [] for name in names}
    for check, attempt in records:
        by_name.setdefault(check.name, []).append((check, attempt))
    return [_check_statistics(name, found) for name, found in by_name.items() if found or name in names]


def _check_statistics(name: str, found: list[tuple[CheckRecord, Attempt]]) -> CheckStatistics:
    graded = [(check, attempt) for check, attempt in found if attempt.counted and check.outcome in ("passed", "failed")]
    passed = [(check, attempt) for check, attempt in graded if check.outcome == "passed"]
    failures = [normalise(check.message, attempt.parameters) for check, attempt in graded if check.outcome == "failed"]
    frequent, count = Counter(failures).most_common(1)[0] if failures else ("", 0)
    latest = found[-1][0] if found else None
    return CheckStatistics(
        name=name,
        title=latest.title if latest else name,
        points=latest.max_points if latest else 0.0,
        graded=len(graded),
        passed=len(passed),
        failed=len(graded) - len(passed),
        ungradable=sum(check.outcome == "ungradable" for check, _ in found),
        pass_rate=len(passed) / len(graded) if graded else None,
        learners=len({attempt.user_id for _, attempt in graded}),
        learners_passed=len({attempt.user_id for _, attempt in passed}),
        frequent=frequent,
        frequent_count=count,
    )


_VARIES = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uid>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "<address>"),
    (re.compile(r"(?<=-)[0-9a-f]{6,10}-[0-9a-z]{5}\b"), "…"),
    (re.compile(r"(?<=-)(?=[a-z]*\d)[bcdfghjklmnpqrstvwxz2456789]{5}\b"), "…"),
    (re.compile(r"\d+(?:\.\d+)?"), "N"),
)


def normalise(message: str, parameters: dict[str, Any]) -> str:
    """A failure message without what differs between learners: parameters, generated names, addresses, numbers."""
    text = message
    words = [(name, str(value)) for name, value in parameters.items() if isinstance(value, str) and len(value) > 1]
    for name, word in sorted(words, key=lambda item: -len(item[1])):
        text = re.sub(rf"(?<![\w]){re.escape(word)}(?![\w])", f"<{name}>", text)
    for pattern, stands_for in _VARIES:
        text = pattern.sub(stands_for, text)
    return " ".join(text.split())[:300]


def class_csv(report: ClassReport) -> str:
    """Learners x labs, one line a learner; see :mod:`labs.csvtext` for how formulas are kept from running."""
    header = ["learner", "name", "email", "score", "max_score", "minutes", "last_activity"]
    for name, _, _ in report.labs:
        header += [f"{name} score", f"{name} max", f"{name} attempts", f"{name} minutes", f"{name} last_activity"]
    return csvtext.write(header, ([*_who(row), *_labs_of(row.cells)] for row in report.rows))


def learner_csv(report: LearnerReport) -> str:
    """One line per check of each attempt."""
    header = ["learner", "lab", "attempt", "number", "at", "provider", "outcome", "counted", "score", "max_score"]
    header += ["check", "title", "check outcome", "points", "max_points", "seconds", "message"]
    return csvtext.write(
        header,
        (
            [
                *(report.learner, one.lab, one.id, one.number, _time(one.wanted_at), one.provider, one.outcome or ""),
                *("yes" if one.counted else "no", one.score, one.max_score),
                *(check.name, check.title, check.outcome or "", check.points, check.max_points),
                *(round(check.seconds, 1), check.message),
            ]
            for one in report.attempts
            for check in one.checks
        ),
    )


def lab_csv(report: LabReport) -> str:
    """One line per check."""
    header = ["lab", "check", "title", "points", "graded", "passed", "failed", "ungradable", "pass_rate"]
    header += ["learners", "learners_passed", "frequent_message", "frequent_count"]
    return csvtext.write(
        header,
        (
            [
                *(report.lab, one.name, one.title, one.points, one.graded, one.passed, one.failed, one.ungradable),
                None if one.pass_rate is None else round(one.pass_rate, 3),
                *(one.learners, one.learners_passed, one.frequent, one.frequent_count),
            ]
            for one in report.checks
        ),
    )


def _who(row: LearnerRow) -> list[csvtext.Cell]:
    minutes = round(row.seconds / 60, 1)
    return [row.learner, row.display_name, row.email, row.score, row.max_score, minutes, _time(row.last_activity)]


def _labs_of(cells: Iterable[Cell]) -> list[csvtext.Cell]:
    return [
        value
        for cell in cells
        for value in (
            cell.best_score,
            cell.max_score,
            cell.attempts,
            round(cell.seconds / 60, 1),
            _time(cell.last_activity),
        )
    ]


def _time(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def csv_of(report: ClassReport | LearnerReport | LabReport) -> str:
    """Any report as CSV."""
    if isinstance(report, ClassReport):
        return class_csv(report)
    return learner_csv(report) if isinstance(report, LearnerReport) else lab_csv(report)
