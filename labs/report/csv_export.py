"""Reports as CSV; see :mod:`labs.csvtext` for how formulas are kept from running."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from labs import csvtext
from labs.report.data import Cell, ClassReport, LabReport, LearnerReport, LearnerRow, Misconception


def class_csv(report: ClassReport) -> str:
    """Learners x labs, one line a learner."""
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


def misconceptions_csv(found: Iterable[Misconception]) -> str:
    """One line per misconception."""
    header = ["misconception", "learners", "asked", "share", "labs"]
    return csvtext.write(
        header,
        ([one.name, one.learners, one.asked, round(one.learners / one.asked, 3), ", ".join(one.labs)] for one in found),
    )


def questions_csv(report: LabReport) -> str:
    """One line per option of each question."""
    header = ["lab", "question", "text", "points", "answered", "settled", "right"]
    header += ["option", "option text", "misconception", "chosen", "happened"]
    return csvtext.write(
        header,
        (
            [
                *(one.lab, one.name, one.text, one.points, one.answered, one.settled, one.right),
                *(option.name, option.text, option.misconception, option.chosen, option.happened),
            ]
            for one in report.questions
            for option in one.options
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


def predictions_csv(report: ClassReport | LearnerReport | LabReport) -> str:
    """What a class's or a lab's predictions show; a learner's are in the page and in JSON only."""
    if isinstance(report, LabReport):
        return questions_csv(report)
    return misconceptions_csv(report.misconceptions if isinstance(report, ClassReport) else ())
