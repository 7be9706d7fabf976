"""The instructor's report: a class, a learner, a lab; as pages and as CSV."""

from __future__ import annotations

import json

from flask import Blueprint, Response, render_template

from labs.errors import Malformed, NotFound
from labs.report import class_csv, lab_csv, learner_csv, misconceptions_csv, questions_csv
from labs.session import timelines
from webapp.site import current_account, kindling
from webapp.teach import charts, overview
from webapp.teach.permissions import class_or_everybody, instructors_only, report_id

blueprint = Blueprint("reports", __name__, url_prefix="/classes/<class_id>")


@blueprint.get("/")
@instructors_only
def of_class(class_id: str) -> str:
    """Learners x labs."""
    found = class_or_everybody(class_id)
    report = kindling().reports.class_report(current_account().name, report_id(found))
    members = kindling().classes.members(found.id, current_account().name) if found else []
    waiting = {account.name for account in members if not account.has_password and account.role == "learner"}
    return render_template(
        "teach/class.html",
        found=found,
        class_id=class_id,
        report=report,
        summary=overview.summary(report),
        concerns=overview.concerns(report),
        waiting=waiting,
        share=charts.share,
    )


@blueprint.get("/report.csv")
@instructors_only
def class_as_csv(class_id: str) -> Response:
    """The same for a spreadsheet."""
    found = class_or_everybody(class_id)
    return _csv(
        class_csv(kindling().reports.class_report(current_account().name, report_id(found))), f"class-{class_id}"
    )


@blueprint.get("/misconceptions.csv")
@instructors_only
def misconceptions_as_csv(class_id: str) -> Response:
    """What the class's predictions showed."""
    found = class_or_everybody(class_id)
    report = kindling().reports.class_report(current_account().name, report_id(found))
    return _csv(misconceptions_csv(report.misconceptions), f"misconceptions-{class_id}")


@blueprint.get("/learners/<learner>/")
@instructors_only
def of_learner(class_id: str, learner: str) -> str:
    """One learner's attempts with every check's evidence."""
    found = class_or_everybody(class_id)
    report = kindling().reports.learner_report(current_account().name, learner)
    titles = {lab.name: lab.title for lab in kindling().labs.all()}
    histories = [
        (cell, titles.get(cell.lab, cell.lab), [one for one in report.attempts if one.lab == cell.lab])
        for cell in report.cells
    ]
    return render_template(
        "teach/learner.html",
        found=found,
        class_id=class_id,
        report=report,
        histories=histories,
        titles=titles,
        history=charts.history,
    )


@blueprint.get("/learners/<learner>/report.csv")
@instructors_only
def learner_as_csv(class_id: str, learner: str) -> Response:
    """One line per check of each attempt."""
    class_or_everybody(class_id)
    return _csv(learner_csv(kindling().reports.learner_report(current_account().name, learner)), "learner")


@blueprint.get("/labs/<lab>/")
@instructors_only
def of_lab(class_id: str, lab: str) -> str:
    """One lab's checks: pass rates and the most frequent failure."""
    found = class_or_everybody(class_id)
    try:
        report = kindling().reports.lab_report(current_account().name, lab, report_id(found))
    except Malformed as error:
        raise NotFound(f"the lab {lab} cannot be loaded: {error}", "kindling lint") from error
    return render_template(
        "teach/lab.html",
        found=found,
        class_id=class_id,
        report=report,
        bar=charts.bar,
        spread=charts.spread,
        share=charts.share,
    )


@blueprint.get("/labs/<lab>/report.csv")
@instructors_only
def lab_as_csv(class_id: str, lab: str) -> Response:
    """One line per check."""
    found = class_or_everybody(class_id)
    return _csv(lab_csv(kindling().reports.lab_report(current_account().name, lab, report_id(found))), f"lab-{lab}")


@blueprint.get("/labs/<lab>/predictions.csv")
@instructors_only
def predictions_as_csv(class_id: str, lab: str) -> Response:
    """One line per option of each question."""
    report = kindling().reports.lab_report(current_account().name, lab, report_id(class_or_everybody(class_id)))
    return _csv(questions_csv(report), f"predictions-{lab}")


@blueprint.get("/attempts/<attempt>/")
@instructors_only
def of_attempt(class_id: str, attempt: str) -> str:
    """One attempt with evidence and what the cluster looked like."""
    found = class_or_everybody(class_id)
    reports = kindling().reports
    seen = reports.attempt(current_account().name, attempt)
    snapshot = json.dumps(reports.snapshot(current_account().name, attempt), indent=2, default=str)
    titles = {lab.name: lab.title for lab in kindling().labs.all()}
    return render_template(
        "teach/attempt.html",
        found=found,
        class_id=class_id,
        attempt=seen,
        snapshot=snapshot,
        title=titles.get(seen.lab, seen.lab),
        timelines=timelines((check.name, check.evidence) for check in seen.checks),
    )


def _csv(text: str, name: str) -> Response:
    answer = Response(text, content_type="text/csv; charset=utf-8; header=present")
    answer.headers["Content-Disposition"] = f'attachment; filename="kindling-{name}.csv"'
    return answer
