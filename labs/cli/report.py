"""``kindling report``: what an instructor sees, as a table, CSV or JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from labs.cli.context import class_named, kindling
from labs.cli.output import clean, counted, echo, number, outcome, span, style, table

if TYPE_CHECKING:
    from labs.bootstrap import Kindling
    from labs.report import ClassReport, LabReport, LearnerReport


@click.command()
@click.option("--format", "shape", type=click.Choice(["table", "csv", "json"]), default="table", help="What to print.")
@click.option("--class", "class_name", metavar="NAME", help="Only this class (name or id).")
@click.option("--learner", metavar="NAME", help="One learner's attempts with every check's evidence.")
@click.option("--lab", metavar="LAB", help="One lab's checks: pass rates and the most frequent failure.")
@click.option("--predictions", is_flag=True, help="With csv: misconceptions of the class, or a lab's answers.")
def report(shape: str, class_name: str | None, learner: str | None, lab: str | None, *, predictions: bool) -> None:
    """What an instructor sees: everybody and all labs, or a class, a learner, a lab."""
    from labs import report as reports

    if learner and lab:
        raise click.UsageError("give --learner or --lab, not both")
    if predictions and (learner or shape != "csv"):
        raise click.UsageError("--predictions goes with --format csv, for a class or with --lab; the others show them")
    with kindling() as services:
        viewer, class_id = _class(services, class_name)
        made: ClassReport | LearnerReport | LabReport
        if learner:
            made = services.reports.learner_report(viewer, learner)
        elif lab:
            made = services.reports.lab_report(viewer, lab, class_id)
        else:
            made = services.reports.class_report(viewer, class_id)
    if shape == "json":
        echo(json.dumps(dataclasses.asdict(made), indent=2, default=str))
    elif shape == "csv":
        click.echo(reports.predictions_csv(made) if predictions else reports.csv_of(made), nl=False)
    else:
        show(made)


def _class(services: Kindling, wanted: str | None) -> tuple[str | None, str | None]:
    """Who asks and for which class. Whoever can read the database on this machine may see all of it."""
    if wanted is None:
        return None, None
    return services.accounts.local().name, class_named(services, wanted).id


def show(made: ClassReport | LearnerReport | LabReport) -> None:
    """A report as tables."""
    from labs.report import ClassReport, LearnerReport

    if isinstance(made, ClassReport):
        _print_class(made)
    elif isinstance(made, LearnerReport):
        _print_learner(made)
    else:
        _print_lab(made)


def _print_class(made: ClassReport) -> None:
    echo(style(clean(made.name), bold=True))
    header = ["learner", *(name for name, _, _ in made.labs), "score", "attempts", "time", "last activity"]
    rows = []
    for row in made.rows:
        cells = [_score(cell.best_score, cell.max_score) for cell in row.cells]
        attempts = sum(cell.attempts for cell in row.cells)
        last = row.last_activity.astimezone().strftime("%Y-%m-%d %H:%M") if row.last_activity else "-"
        total = f"{number(row.score)}/{number(row.max_score)}"
        rows.append((row.learner, *cells, total, attempts, span(row.seconds), last))
    echo(table(header, rows))
    if made.misconceptions:
        echo("\n" + style("Misconceptions", bold=True))
        beliefs = [(f"{one.learners} of {one.asked}", one.name, ", ".join(one.labs)) for one in made.misconceptions]
        echo(table(("learners", "misconception", "asked in"), beliefs))


def _print_learner(made: LearnerReport) -> None:
    echo(style(clean(f"{made.display_name} ({made.learner})"), bold=True))
    header = ("lab", "best", "attempts", "ungradable", "hints", "time")
    cells = [
        (
            cell.lab,
            _score(cell.best_score, cell.max_score),
            cell.attempts,
            cell.ungradable,
            cell.hints,
            span(cell.seconds),
        )
        for cell in made.cells
    ]
    echo(table(header, cells))
    for lab, predicted in made.predictions.items():
        for asked in predicted:
            echo(f"\n{lab}, predicted: {clean(asked.text)}")
            echo(f"    said: {clean(asked.answer.text) if asked.answer else 'nothing'}")
            if asked.happened:
                echo(f"    it was: {clean(asked.happened.text)}")
            if asked.misconception:
                echo(f"    misconception: {clean(asked.misconception)}")
    for attempt in made.attempts:
        at = attempt.wanted_at.astimezone().strftime("%Y-%m-%d %H:%M")
        score = f"{number(attempt.score)}/{number(attempt.max_score)}"
        echo(
            f"\n{attempt.lab}, attempt {attempt.number} on {attempt.provider}, {at}: "
            + f"{outcome(attempt.outcome)}, {score}"
        )
        if attempt.cause:
            echo(f"    cause: {clean(attempt.cause)}")
        for one in attempt.checks:
            echo(f"  {outcome(one.outcome)}  {clean(one.title)}")
            for line in clean(one.message or one.cause).splitlines():
                echo(f"      {line}")
            for evidence in one.evidence:
                echo(f"      - {clean(json.dumps(evidence, default=str))[:300]}")


def _print_lab(made: LabReport) -> None:
    echo(style(clean(f"{made.title} ({made.lab})"), bold=True))
    echo(f"{counted(made.learners, 'learner')}, {counted(made.attempts, 'attempt')}, {made.ungradable} ungradable")
    header = ("check", "passed", "failed", "rate", "most frequent failure")
    rows = [
        (
            *(one.name, one.passed, one.failed),
            "-" if one.pass_rate is None else f"{one.pass_rate:.0%}",
            f"{one.frequent_count}x {one.frequent[:120]}" if one.frequent else "",
        )
        for one in made.checks
    ]
    echo(table(header, rows))
    for question in made.questions:
        echo("\n" + style(clean(question.text), bold=True))
        echo(f"{question.answered} answered, {question.right} of {question.settled} right")
        chosen = [(option.chosen, option.text, option.misconception or "-") for option in question.options]
        echo(table(("chosen", "option", "misconception"), chosen))


def _score(best: float | None, most: float) -> str:
    return "-" if best is None else f"{number(best)}/{number(most)}"
