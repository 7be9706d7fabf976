"""``kindling predict``: say what will happen, before touching anything. ``kindling start`` asks, too, while it starts.

On a terminal each question is asked; anywhere else the questions are listed, and options answer them. Nobody has to
answer.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from labs.cli.context import kindling, learner_name, learner_option
from labs.cli.output import clean, counted, echo, live, number, style
from labs.cli.suggestions import suggested

if TYPE_CHECKING:
    from labs.bootstrap import Kindling
    from labs.session import PredictionView


@click.command()
@click.argument("lab")
@click.option("--answer", "answers", metavar="QUESTION=OPTION", multiple=True, help="Answer one; may be repeated.")
@learner_option
def predict(lab: str, answers: Sequence[str], learner: str | None) -> None:
    """Say what will happen in LAB, before you touch anything. An answer stays.

    What happens is shown by the first check that measures it, and so are the misconceptions behind wrong answers.
    """
    given = dict(_pair(one) for one in answers)
    with kindling() as services:
        name = learner_name(services, learner)
        if given:
            services.predictions.answer(name, lab, given)
        else:
            ask(services, name, lab)
        asked = services.predictions.of(name, lab)
        if not asked:
            echo(f"{lab} asks for no predictions.")
        for one in asked:
            print_prediction(one)
        if any(one.open for one in asked):
            echo(suggested(f"To answer: kindling predict {lab}") + " --answer QUESTION=OPTION")


def _pair(text: str) -> tuple[str, str]:
    question, equals, option = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not QUESTION=OPTION", param_hint="--answer")
    return question.strip(), option.strip()


def ask(services: Kindling, learner: str, lab: str) -> None:
    """Ask each open question, where somebody sits at a terminal; an empty line leaves one out for now."""
    if not (live() and sys.stdin.isatty()):
        return
    todo = [one for one in services.predictions.of(learner, lab) if one.open]
    if not todo:
        return
    echo(f"First, {counted(len(todo), 'question')}: what do you think? Enter alone leaves a question out for now.")
    for one in todo:
        chosen = _choose(one)
        if chosen:
            services.predictions.answer(learner, lab, {one.name: chosen})


def _choose(one: PredictionView) -> str:
    """The name of the option that was chosen; "" for none."""
    echo("\n" + style(clean(one.text), bold=True) + _worth(one))
    for place, option in enumerate(one.options, 1):
        echo(f"  {place}  {clean(option.text)}")
    while True:
        said = str(click.prompt(f"1 to {len(one.options)}", default="", show_default=False)).strip()
        if not said:
            return ""
        if said.isdecimal() and 1 <= int(said) <= len(one.options):
            return one.options[int(said) - 1].name
        echo(f"  {clean(said)[:20]} is none of them; Enter alone leaves it out.")


def _worth(one: PredictionView) -> str:
    return f" ({counted(one.points, 'point')})" if one.points else ""


def print_prediction(one: PredictionView) -> None:
    """A question with what was answered and what happened, as far as either is known."""
    echo(style(clean(one.text), bold=True) + (_worth(one) if one.right is None else ""))
    if one.happened is None and one.answer is None:
        _print_options(one)
        return
    if one.answer is not None:
        echo(f"    You said: {clean(one.answer.text)}")
    elif one.happened is not None:
        echo("    You did not say.")
    if one.happened is None:
        echo("    What happens is seen when a check has measured it.")
        return
    echo(f"    It was:   {clean(one.happened.text)}" + (f"  {_verdict(one)}" if one.answer else ""))
    if one.misconception:
        echo(f"    Misconception: {clean(one.misconception)}")
    if one.feedback:
        echo(f"    {clean(one.feedback)}")


def _print_options(one: PredictionView) -> None:
    if not one.open:
        echo("    Not answered before the first check.")
        return
    for option in one.options:
        echo(f"    {one.name}={option.name}: {clean(option.text)}")


def _verdict(one: PredictionView) -> str:
    points = f", {number(one.points if one.right else 0)}/{number(one.points)}" if one.points else ""
    return style(f"✓ right{points}", fg="green") if one.right else style(f"✗ wrong{points}", fg="red")
