"""What a learner has read and answered, kept in the records.

Refuses to know what a right answer is: whoever asks says whether it was right, and the last answer counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from labs.records.database import Database
from labs.records.models import QuizAnswer


@dataclass(frozen=True)
class Answered:
    """The last answer to one question: indexes of the chosen answers."""

    chosen: list[int]
    correct: bool


class Progress:
    """Quiz answers of learners, by ``course/lesson`` and question."""

    def __init__(self, records: Database, now: Callable[[], datetime]) -> None:
        self._records, self._now = records, now

    def record(self, user_id: int, lesson: str, question: str, chosen: list[int], *, correct: bool) -> None:
        """Keep an answer in place of the one before."""
        with self._records.begin() as session:
            row = session.get(QuizAnswer, (user_id, lesson, question))
            if row is None:
                row = QuizAnswer(user_id=user_id, lesson=lesson, question=question)
                session.add(row)
            row.answer, row.correct, row.answered_at = chosen, correct, self._now()

    def answers(self, user_id: int, course: str) -> dict[str, dict[str, Answered]]:
        """Every answer in a course: lesson -> question -> answer."""
        with self._records.read() as session:
            rows = session.scalars(
                select(QuizAnswer).where(QuizAnswer.user_id == user_id, QuizAnswer.lesson.startswith(f"{course}/"))
            ).all()
        found: dict[str, dict[str, Answered]] = {}
        for row in rows:
            lesson = row.lesson.partition("/")[2]
            found.setdefault(lesson, {})[row.question] = Answered([int(index) for index in row.answer], row.correct)
        return found
