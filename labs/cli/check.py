"""``kindling check``: hand in and watch the checks finish.

Leaves with 0 when all passed, 1 when something failed, 3 when ungradable, 2 when nothing could be handed in.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from grader.what_if import lines_of
from labs.cli.context import kindling, learner_name, learner_option, session_of
from labs.cli.output import clean, counted, echo, number, outcome, print_error, style
from labs.cli.predict import print_prediction
from labs.cli.suggestions import suggested
from labs.errors import Unavailable

if TYPE_CHECKING:
    from labs.session import AttemptView, CheckView, PredictionView

EXIT = {"passed": 0, "failed": 1, "ungradable": 3}


@click.command()
@click.argument("lab", required=False)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--format",
    "shape",
    type=click.Choice(["text", "json", "gradescope"]),
    default="text",
    help="What to print (default: text). Anything but text prints one JSON object at the end.",
)
@learner_option
def check(lab: str | None, as_json: bool, shape: str, learner: str | None) -> int:
    """Grade LAB: how your cluster behaves now.

    Exits 0 when all passed, 1 when something failed, 2 when nothing could be handed in, 3 when ungradable.
    """
    from labs.grading import ProcessGrader
    from labs.locks import Locks
    from labs.settings import load

    shape = "json" if as_json else shape
    grader, found = ProcessGrader(), load()
    if Locks(found.grader_locks).free(found.graders):
        grader.prestart()  # it imports while we open the records; not when it would have to wait for its turn
    try:
        with kindling(grader) as services:
            name = learner_name(services, learner)
            session = session_of(services, name, lab)
            attempt = services.sessions.check(session.id, name)
            watcher = _Watcher() if shape == "text" else None
            try:
                attempt = services.sessions.follow(attempt.id, name, watcher)
            except Unavailable as error:
                said = f"attempt {attempt.number} is handed in, and graded later: {error}"
                print_error(said, f"kindling check {attempt.lab}")
                return EXIT["ungradable"]
            asked = services.predictions.of(name, attempt.lab)
    finally:
        grader.close()
    if watcher is not None:
        watcher.summary(attempt, [one for one in asked if one.attempt == attempt.number])
    else:
        echo(json.dumps(gradescope(attempt, asked) if shape == "gradescope" else plain(attempt, asked), indent=2))
    return EXIT.get(attempt.outcome or "", 3)


def plain(attempt: AttemptView, asked: Sequence[PredictionView] = ()) -> dict[str, Any]:
    """The attempt as ``--json`` prints it."""
    return {
        "lab": attempt.lab,
        "attempt": attempt.id,
        "provider": attempt.provider,
        "outcome": attempt.outcome,
        "score": attempt.score,
        "max_score": attempt.max_score,
        "seconds": round(attempt.seconds, 3),
        "checks": [
            {
                "name": one.name,
                "title": one.title,
                "outcome": one.outcome,
                "points": one.points,
                "max_points": one.max_points,
                "message": one.message,
            }
            for one in attempt.checks
        ],
        "predictions": [
            {
                "question": one.name,
                "text": one.text,
                "answer": one.answer.name if one.answer else None,
                "happened": one.happened.name if one.happened else None,
                "right": one.right,
                "misconception": one.misconception,
                "points": one.points if one.right else 0.0,
                "max_points": one.points,
            }
            for one in asked
        ],
    }


def gradescope(attempt: AttemptView, asked: Sequence[PredictionView] = ()) -> dict[str, Any]:
    """The attempt as Gradescope's ``results.json``; an ungradable one has no score:
    nobody is to take it for zero. Predictions are there where they are worth points."""
    results: dict[str, Any] = {
        "output": attempt.detail or f"{attempt.lab}: {attempt.outcome}",
        "output_format": "text",
        "execution_time": round(attempt.seconds, 3),
        "visibility": "visible",
        "tests": [
            {
                "name": one.title or one.name,
                "score": one.points,
                "max_score": one.max_points,
                "status": "passed" if one.outcome == "passed" else "failed",
                "output": one.message,
                "output_format": "text",
                "visibility": "visible",
            }
            for one in attempt.checks
        ]
        + [
            {
                "name": one.text,
                "score": one.points if one.right else 0.0,
                "max_score": one.points,
                "status": "passed" if one.right else "failed",
                "output": one.feedback,
                "output_format": "text",
                "visibility": "visible",
            }
            for one in asked
            if one.points
        ],
    }
    if attempt.outcome != "ungradable":
        results["score"] = attempt.score
    return results


class _Watcher:
    """Prints each check as it finishes; on a terminal also which one is running."""

    def __init__(self) -> None:
        from labs.cli.output import live

        self._live = live()
        self._said: set[str] = set()
        self._lines: set[tuple[str, str]] = set()
        self._running = ""
        self._waited = False

    def __call__(self, attempt: AttemptView) -> None:
        self._erase()
        for one in attempt.checks:
            if one.state == "done" and one.name not in self._said:
                self._said.add(one.name)
                self._line(one)
        if attempt.detail and attempt.state != "done" and attempt.detail not in self._said:
            self._said.add(attempt.detail)
            echo(clean(attempt.detail))
        if attempt.waiting:
            self._wait(attempt.waiting)
        running = [one for one in attempt.checks if one.state == "running"]
        if self._live and running and attempt.state != "done":
            room = shutil.get_terminal_size().columns - 1  # a line that wraps cannot be taken back
            self._running = ("  … " + clean(running[0].title).replace("\n", " "))[:room]
            click.echo(style(self._running, fg="bright_black"), nl=False)

    def _wait(self, place: str) -> None:
        """On a terminal always the newest place, elsewhere the first one."""
        if self._live:
            self._running = f"  … {place}"
            click.echo(style(self._running, fg="bright_black"), nl=False)
        elif not self._waited:
            echo(place)
        self._waited = True

    def summary(self, attempt: AttemptView, shown: Sequence[PredictionView]) -> None:
        """What it comes to; ``shown``: the predictions of which this attempt has shown what happens."""
        self(attempt)
        for one in attempt.checks:
            late = [line for line in lines_of(one.message) if (one.name, line) not in self._lines]
            for line in [one.title, *(f"    {line}" for line in late)] if late else []:
                echo(clean(line))
        for settled in shown:
            print_prediction(settled)
        word = outcome(attempt.outcome)
        score = f"{number(attempt.score)} of {counted(attempt.max_score, 'point')}"
        if attempt.outcome == "ungradable":
            echo(f"{word}: attempt {attempt.number}. {clean(attempt.detail)}")
            return
        echo(f"{word}: {score}, attempt {attempt.number}, {attempt.seconds:.1f} s")
        if attempt.outcome == "failed":
            echo(suggested(f"  a hint: kindling hint {attempt.lab}"))

    def _line(self, one: CheckView) -> None:
        points = f"{number(one.points)}/{number(one.max_points)}"
        echo(f"{outcome(one.outcome)}  {clean(one.title)}  ({points}, {one.seconds:.1f} s)")
        self._lines |= {(one.name, line) for line in lines_of(one.message)}
        for line in clean(one.message).splitlines():
            echo(f"    {line}")

    def _erase(self) -> None:
        if self._running:
            click.echo("\r\x1b[2K", nl=False)
            self._running = ""
