"""The life of a lab from the command: start, status, hint, reset, extend, stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from labs.cli.context import kindling, learner_name, learner_option, session_of
from labs.cli.output import clean, counted, echo, number, print_error, span, style, table
from labs.cli.predict import ask
from labs.cli.progress import watching
from labs.cli.suggestions import suggested, whose
from labs.errors import Unavailable
from labs.session import SessionView

if TYPE_CHECKING:
    from labs.bootstrap import Kindling


@click.command()
@click.argument("lab")
@click.option("--on", "provider", metavar="PROVIDER", help="simulated or kind (default: KINDLING_PROVIDER, simulated).")
@learner_option
def start(lab: str, provider: str | None, learner: str | None) -> int:
    """Start LAB on a cluster of your own. Starting it twice is fine."""
    with kindling() as services:
        name = learner_name(services, learner)
        services.sessions.reconcile()
        session = services.sessions.start(name, lab, provider)
        with watching(f"{lab} on {session.provider}") as show:
            session = services.sessions.wait(session.id, show)
        services.sessions.reconcile()  # such as one that this took the place of
        if not _reached(session, "ready"):
            return 1
        echo(style(f"{lab} is ready on {session.provider}", fg="green") + f", for {span(session.seconds_left)}.")
        ask(services, name, lab)
        unanswered = sum(one.open for one in services.predictions.of(name, lab))
        if unanswered:
            echo(suggested(f"  before you do:   kindling predict {lab}") + f" ({counted(unanswered, 'question')})")
        echo(suggested(f"  what to do:      kindling labs {lab}"))
        echo(suggested(f"  work in it:      kindling shell {lab}"))
        echo(suggested(f"  hand in:         kindling check {lab}"))
        return 0


@click.command()
@learner_option
def status(learner: str | None) -> None:
    """Show your labs and how they stand."""
    with kindling() as services:
        name = learner_name(services, learner)
        behind = _brought_up_to_date(services, name)
        live = [session for session in services.sessions.all(name) if session.live]
        if not live and behind is None:
            echo(suggested(f"No lab has been started{whose()}. What there is: kindling labs"))
            return
        header = ("lab", "provider", "state", "left", "best", "counted attempts")
        echo(table(header, [_status_row(one) for one in live]))
        for session in live:
            if session.not_counted:
                echo(f"{session.lab}: {session.not_counted}")
            if session.detail:
                print_error(f"{session.lab}: {session.detail}", session.fix)
            elif session.state in ("provisioning", "resetting") and not session.working:
                print_error(f"{session.lab}: nobody is working on it", f"kindling start {session.lab}")
        if behind is not None:
            raise behind


@click.command()
@click.argument("lab", required=False)
@click.option("--check", "check", metavar="CHECK", help="For this check (default: the first not yet passed).")
@learner_option
def hint(lab: str | None, check: str | None, learner: str | None) -> None:
    """Show the next hint for LAB."""
    with kindling() as services:
        name = learner_name(services, learner)
        shown = services.sessions.hint(session_of(services, name, lab).id, name, check)
        echo(style(clean(shown.title), bold=True) + f" (hint {shown.number} of {shown.of})")
        echo(clean(shown.text))


@click.command()
@click.argument("lab", required=False)
@learner_option
def reset(lab: str | None, learner: str | None) -> int:
    """Put LAB back to its starting state; what you handed in is kept."""
    with kindling(frees=True) as services:
        name = learner_name(services, learner)
        session = services.sessions.reset(session_of(services, name, lab).id, name)
        with watching(f"{session.lab} back to its start") as show:
            session = services.sessions.wait(session.id, show)
        if not _reached(session, "ready"):
            return 1
        echo(f"{session.lab} is as it was at the start.")
        return 0


@click.command()
@click.argument("lab", required=False)
@learner_option
def stop(lab: str | None, learner: str | None) -> int:
    """Remove LAB's cluster; what you handed in is kept."""
    with kindling(frees=True) as services:
        name = learner_name(services, learner)
        session = services.sessions.stop(session_of(services, name, lab).id, name)
        session = services.sessions.wait(session.id)
        if session.state not in ("stopped", "expired"):
            print_error(f"{session.lab}: {session.detail}", session.fix)
            return 1
        echo(f"{session.lab} is stopped.")
        return 0


@click.command()
@click.argument("lab", required=False)
@learner_option
def extend(lab: str | None, learner: str | None) -> None:
    """Give LAB its full time again."""
    with kindling() as services:
        name = learner_name(services, learner)
        session = services.sessions.extend(session_of(services, name, lab).id, name)
        echo(f"{session.lab} stays for {span(session.seconds_left)}.")


def _brought_up_to_date(services: Kindling, learner: str) -> Unavailable | None:
    """Write down what has become of labs; why not, when it cannot be: what was known before can still be shown."""
    try:
        services.sessions.reconcile()
        for session in services.sessions.all(learner):
            if session.state == "ready":
                services.sessions.observe(session.id, learner)
    except Unavailable as error:
        return error
    return None


def _reached(session: SessionView, where: str) -> bool:
    if session.state == where:
        return True
    print_error(f"{session.lab} is {session.state}: {session.detail or 'it was stopped'}", session.fix)
    return False


def _status_row(session: SessionView) -> tuple[object, ...]:
    best = "-" if session.best_score is None else number(session.best_score)
    score = f"{best}/{number(session.max_score)}"
    return session.lab, session.provider, session.state, span(session.seconds_left), score, session.attempts
