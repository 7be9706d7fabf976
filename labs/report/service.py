"""Who may see what of whom, gathered from the records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction

from labs.accounts import in_order, taught, teaches
from labs.definition import Lab
from labs.errors import NotFound
from labs.library import Library
from labs.parameters import seed_of
from labs.records.database import Database
from labs.records.models import Activity, Attempt, CheckRecord, HintTaken, Membership, Prediction, Session, User
from labs.report.data import Cell, ClassReport, LabReport, LearnerReport, LearnerRow
from labs.report.misconceptions import misconceptions_of, statistics_of_questions
from labs.report.statistics import cell_of, statistics_of
from labs.session.predictions import views_of
from labs.session.presenters import attempt_view
from labs.session.queries import last
from labs.session.views import AttemptView, PredictionView


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
            predicted = tx.scalars(select(Prediction).where(Prediction.user_id.in_([user.id for user in users]))).all()
        return ClassReport(class_id or "", name, labs, rows, misconceptions_of(self.labs.all(), predicted))

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
            predictions = {lab.name: self._predictions(tx, user, lab) for lab in self.labs.all() if lab.file.predict}
            shown = user.display_name or user.name
            return LearnerReport(user.name, shown, user.email or "", cells, attempts, predictions)

    def lab_report(self, viewer: str | None, lab: str, class_id: str | None = None) -> LabReport:
        """One lab over a class."""
        found = self.labs.get(lab)
        with self.records.read() as tx:
            users, _ = self._learners(tx, viewer, class_id)
            mine = (Attempt.lab == lab, Attempt.state == "done", Attempt.user_id.in_([user.id for user in users]))
            attempts = tx.scalars(select(Attempt).where(*mine)).all()
            joined = select(CheckRecord, Attempt).join(Attempt, CheckRecord.attempt_id == Attempt.id).where(*mine)
            records = [(check, attempt) for check, attempt in tx.execute(joined.order_by(CheckRecord.position))]
            asked = (Prediction.lab == lab, Prediction.user_id.in_([user.id for user in users]))
            predicted = tx.scalars(select(Prediction).where(*asked)).all()
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
            checks=statistics_of(records, names),
            questions=statistics_of_questions(found, predicted),
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

    def _predictions(self, tx: Transaction, user: User, lab: Lab) -> list[PredictionView]:
        """What a learner answered, and what became of it; questions of which neither is known are left out."""
        drawn: dict[str, Any] = dict(lab.parameters_for(seed_of(user.name, lab.name)))
        session = last(tx, user, lab.name)
        seen = views_of(tx, user.id, lab, drawn | (session.parameters if session is not None else {}))
        return [one for one in seen if one.answer or one.happened]

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
            return _in_order(tx.scalars(query)), row.name
        if viewer is not None and tx.scalar(select(User.role).where(User.name == viewer)) != "admin":
            raise NotFound("there is no such class of yours")
        tried = select(Session.user_id).union(select(Attempt.user_id), select(Activity.user_id))
        query = select(User).where((User.role == "learner") | User.id.in_(tried))
        return _in_order(tx.scalars(query)), "Everybody"

    def _teaches(self, tx: Transaction, viewer: str | None, user_id: int) -> bool:
        if viewer is None:
            return True
        who = tx.scalar(select(User).where(User.name == viewer))
        if who is None:
            return False
        if who.role == "admin":
            return True
        return teaches(tx, who, user_id)

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
                cell_of(name, points, attempts[user.id, name], moments[user.id, name], hints.get((user.id, name), 0))
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
            removed=user.deleted_at is not None,
        )


def _in_order(users: Iterable[User]) -> list[User]:
    """By what is shown of them."""
    return sorted(users, key=lambda user: (*in_order(user.display_name or user.name), user.name))
