"""``kindling labs``: what there is to learn."""

from __future__ import annotations

import click

from labs.cli.context import kindling, learner_name, learner_option
from labs.cli.output import clean, echo, live, number, print_error, style, table
from labs.definition import Lab
from labs.parameters import seed_of


@click.command()
@click.argument("lab", required=False)
@learner_option
def labs(lab: str | None, learner: str | None) -> None:
    """List the labs, or show LAB with its instructions."""
    with kindling() as services:
        name = learner_name(services, learner)
        if lab is not None:
            _show(services.labs.get(lab), name)
            return
        sessions = {session.lab: session for session in reversed(services.sessions.all(name))}
        rows = []
        for one in services.labs.all():
            session = sessions.get(one.name)
            state = session.state if session is not None and session.live else ""
            best = "" if session is None or session.best_score is None else number(session.best_score)
            score = f"{best or '-'}/{number(one.points)}"
            rows.append((one.name, one.level, f"{one.minutes} min", one.needs.nodes, score, state, one.title))
        echo(table(("lab", "level", "time", "nodes", "best", "state", "title"), rows))
        for problem in services.labs.problems():
            print_error(f"{problem.lab} cannot be loaded: {problem}", f"kindling lint {problem.lab}")


def _show(lab: Lab, learner: str) -> None:
    text = clean(lab.instructions(lab.parameters_for(seed_of(learner, lab.name))))
    if not live():
        echo(f"{clean(lab.title)}\n{clean(lab.goal)}\n\n{text}")
        return
    from rich.markdown import Markdown

    from labs.cli.output import console

    echo(style(clean(lab.title), bold=True))
    echo(clean(lab.goal) + "\n")
    console().print(Markdown(text))
