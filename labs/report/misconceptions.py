"""What learners believed before they touched anything: every question of a lab, and the misconceptions of a class.

An answer that then came true is no misconception, whatever its option is called; one of which nobody knows yet what
happens is counted by what it says. Who left a question out is not counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from labs.definition import Lab, Question
from labs.records.models import Prediction
from labs.report.data import Misconception, OptionStatistics, QuestionStatistics


def statistics_of_questions(lab: Lab, rows: Iterable[Prediction]) -> list[QuestionStatistics]:
    """Each question of a lab, from the predictions of several learners."""
    by_question = _by_question(rows)
    return [_question(lab.name, one, by_question.get((lab.name, one.name), [])) for one in _questions(lab)]


def misconceptions_of(labs: Sequence[Lab], rows: Iterable[Prediction]) -> list[Misconception]:
    """Every misconception that labs have a name for and somebody could have shown, the most frequent first."""
    by_question = _by_question(rows)
    asked: dict[str, set[int]] = defaultdict(set)
    shown: dict[str, set[int]] = defaultdict(set)
    where: dict[str, list[str]] = defaultdict(list)
    for lab in labs:
        for question in _questions(lab):
            for row in by_question.get((lab.name, question.name), []):
                for option in question.options:
                    if option.misconception:
                        asked[option.misconception].add(row.user_id)
                        if lab.title not in where[option.misconception]:
                            where[option.misconception].append(lab.title)
                        if believes(row, option.name):
                            shown[option.misconception].add(row.user_id)
    found = [Misconception(name, len(shown[name]), len(asked[name]), where[name]) for name in asked]
    return sorted(found, key=lambda one: (-one.learners / one.asked, one.name))


def believes(row: Prediction, option: str) -> bool:
    """Whether an option was chosen that did not come true, as far as is known."""
    return row.option == option and row.happened != option


def _by_question(rows: Iterable[Prediction]) -> dict[tuple[str, str], list[Prediction]]:
    found: dict[tuple[str, str], list[Prediction]] = defaultdict(list)
    for row in rows:
        if row.option is not None:
            found[row.lab, row.question].append(row)
    return found


def _questions(lab: Lab) -> list[Question]:
    """As no learner in particular reads them: each parameter by its name."""
    return lab.questions({name: name.upper() for name in lab.file.parameters})


def _question(lab: str, question: Question, rows: Sequence[Prediction]) -> QuestionStatistics:
    settled = [row for row in rows if row.happened is not None]
    return QuestionStatistics(
        lab=lab,
        name=question.name,
        text=question.text,
        points=question.points,
        answered=len(rows),
        settled=len(settled),
        right=sum(row.option == row.happened for row in settled),
        options=[
            OptionStatistics(
                name=option.name,
                text=option.text,
                misconception=option.misconception,
                chosen=sum(row.option == option.name for row in rows),
                happened=sum(row.happened == option.name for row in rows),
            )
            for option in question.options
        ],
    )
