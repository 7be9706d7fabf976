"""What an instructor sees: a class, a learner, a lab; the same data for the site, the CSV and the command.

Only attempts that count enter scores and rates. Nobody sees a learner whom they do not teach.
"""

from __future__ import annotations

from labs.report.csv_export import (
    class_csv,
    csv_of,
    lab_csv,
    learner_csv,
    misconceptions_csv,
    predictions_csv,
    questions_csv,
)
from labs.report.data import (
    Cell,
    CheckStatistics,
    ClassReport,
    LabReport,
    LearnerReport,
    LearnerRow,
    Misconception,
    QuestionStatistics,
)
from labs.report.service import Reports
from labs.report.statistics import normalise, time_spent

__all__ = [
    "Cell",
    "CheckStatistics",
    "ClassReport",
    "LabReport",
    "LearnerReport",
    "LearnerRow",
    "Misconception",
    "QuestionStatistics",
    "Reports",
    "class_csv",
    "csv_of",
    "lab_csv",
    "learner_csv",
    "misconceptions_csv",
    "normalise",
    "predictions_csv",
    "questions_csv",
    "time_spent",
]
