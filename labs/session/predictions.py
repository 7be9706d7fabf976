"""What learners predict before they touch anything, and what becomes of it.

An answer can be given until the lab is handed in for the first time: from then on, what happened may be known. It is
kept with its time and never changed, by nobody, a new session included. The first counted attempt that shows what
happened settles a question for good. Refuses to ask what nobody has to answer: a question left out is no mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Transaction

from labs.definition import Lab, Question, QuestionFile
from labs.errors import NotFound, NotNow
from labs.library import Library
from labs.parameters import seed_of
from labs.records.database import Database
from labs.records.models import Attempt, Prediction
from labs.session.queries import last, note, user_of
from labs.session.views import PredictionView


@dataclass(frozen=True)
class Predictions:
    """Every call is for ``learner`` (an account's name). ``NotFound`` for a lab or account that is not there."""

    records: Database
    labs: Library
    now: Callable[[], datetime]

    def of(self, learner: str, lab: str) -> list[PredictionView]:
        """Each question of a lab, with what the learner answered and what happened."""
        found = self.labs.get(lab)
        if not found.file.predict:
            return []
        with self.records.read() as tx:
            return self._views(tx, learner, found)

    def answer(self, learner: str, lab: str, answers: Mapping[str, str]) -> list[PredictionView]:
        """Keep answers (question -> option), all or none of them; the same answer once more is fine.

        ``NotFound`` for a question or option that is not there, ``NotNow`` for one that was answered otherwise, and
        once the lab has been handed in.
        """
        found = self.labs.get(lab)
        for name, option in answers.items():
            _must_exist(found, name, option)
        try:
            return self._keep(learner, found, answers)
        except IntegrityError:  # answered in two places at the same moment: now the other's answer can be seen
            return self._keep(learner, found, answers)

    def _keep(self, learner: str, lab: Lab, answers: Mapping[str, str]) -> list[PredictionView]:
        with self.records.begin() as tx:
            user, now = user_of(tx, learner), self.now()
            for name, option in answers.items():
                row = tx.get(Prediction, (user.id, lab.name, name))
                if row is not None and row.option == option:
                    continue
                if row is not None and row.option is not None:
                    raise NotNow(f"{name} is answered already, and an answer stays", f"kindling predict {lab.name}")
                if _handed_in(tx, user.id, lab.name):
                    raise NotNow(f"{lab.name} has been handed in: what happens is no longer a prediction")
                tx.add(Prediction(user_id=user.id, lab=lab.name, question=name, option=option, answered_at=now))
                note(tx, user.id, lab.name, "predict", now)
            tx.flush()
            return self._views(tx, learner, lab)

    def _views(self, tx: Transaction, learner: str, lab: Lab) -> list[PredictionView]:
        user = user_of(tx, learner)
        session = last(tx, user, lab.name)
        drawn: dict[str, Any] = dict(lab.parameters_for(seed_of(learner, lab.name)))  # the lab may be a newer one
        return views_of(tx, user.id, lab, drawn | (session.parameters if session is not None else {}))


def views_of(tx: Transaction, user: int, lab: Lab, parameters: Mapping[str, Any]) -> list[PredictionView]:
    """Each question of a lab as an account sees it."""
    mine = select(Prediction).where(Prediction.user_id == user, Prediction.lab == lab.name)
    rows = {row.question: row for row in tx.scalars(mine)}
    over = _handed_in(tx, user, lab.name)
    return [_view(question, rows.get(question.name), over=over) for question in lab.questions(parameters)]


def _view(question: Question, row: Prediction | None, *, over: bool) -> PredictionView:
    return PredictionView(
        name=question.name,
        text=question.text,
        options=question.options,
        points=question.points,
        answer=question.option(row.option) if row else None,
        answered_at=row.answered_at if row else None,
        happened=question.option(row.happened) if row else None,
        attempt=row.attempt if row else None,
        open=not over and (row is None or row.option is None),
    )


def _must_exist(lab: Lab, name: str, option: str) -> None:
    question = lab.file.predict.get(name)
    if question is None:
        known = ", ".join(lab.file.predict) or "none"
        raise NotFound(f"{lab.name} does not ask {name!r}; its questions: {known}", f"kindling predict {lab.name}")
    if option not in question.options:
        known = ", ".join(question.options)
        raise NotFound(f"{name} has no option {option!r}; its options: {known}", f"kindling predict {lab.name}")


def _handed_in(tx: Transaction, user: int, lab: str) -> bool:
    return tx.scalar(select(Attempt.id).where(Attempt.user_id == user, Attempt.lab == lab).limit(1)) is not None


def settle(
    tx: Transaction, attempt: Attempt, questions: Mapping[str, QuestionFile], happened: Mapping[str, str], now: datetime
) -> tuple[float, float]:
    """Write down what a counted attempt has shown; points for right predictions, and the most there could be.

    What an earlier attempt has shown stands: the learner knows it since.
    """
    points = 0.0
    for name, question in questions.items():
        row = tx.get(Prediction, (attempt.user_id, attempt.lab, name))
        shown = question.answer or happened.get(name, "")
        if shown and row is None:
            row = Prediction(user_id=attempt.user_id, lab=attempt.lab, question=name)
            tx.add(row)
        if row is None:
            continue
        if shown and row.happened is None:
            row.happened, row.happened_at, row.attempt = shown, now, attempt.number
        if row.option is not None and row.option == row.happened:
            points += question.points
    return points, sum(question.points for question in questions.values())
