"""``kindling class``: classes, their join codes and learners, and their end.

Whoever can run this on the machine can read and write its records, so it acts as an admin would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from labs.cli.context import class_named, kindling
from labs.cli.output import clean, counted, echo, table
from labs.cli.user import sure
from labs.errors import NotFound

if TYPE_CHECKING:
    from labs.bootstrap import Kindling


@click.group("class")
def school_class() -> None:
    """Classes: list, join code, take a learner out, delete."""


@school_class.command("list")
def show() -> None:
    """List every class with its join code."""
    with kindling() as services:
        rows = [
            (one.id, one.name, one.join_code or "closed", one.members)
            for one in services.classes.taught_by(services.accounts.local().name)
        ]
        echo(table(("id", "name", "join code", "learners"), rows))


@school_class.command()
@click.argument("name")
@click.option("--close", is_flag=True, help="No code at all: nobody comes in by one.")
def code(name: str, close: bool) -> None:
    """Give the class NAME (or id) another join code; the old one ends at once."""
    with kindling() as services:
        found, me = class_named(services, name), services.accounts.local().name
        if close:
            services.class_removals.close(found.id, me)
            echo(f"{clean(found.name)} is closed. Open it again: kindling class code {found.id}")
        else:
            made = services.class_removals.renew_code(found.id, me)
            echo(f"The join code of {clean(made.name)} is {made.join_code}.")


@school_class.command()
@click.argument("name")
@click.argument("learner")
def remove(name: str, learner: str) -> None:
    """Take LEARNER out of the class NAME (or id); what they handed in stays theirs."""
    with kindling() as services:
        found = class_named(services, name)
        if not services.class_removals.remove_learner(found.id, services.accounts.local().name, learner):
            raise NotFound(f"{learner} is no learner of {found.name}", "kindling class list")
        services.sessions.reconcile()
        echo(f"{clean(learner)} is not in {clean(found.name)} any more.")


@school_class.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete the class NAME (or id). Learners keep their accounts and their work."""
    with kindling() as services:
        found = class_named(services, name)
        _say(services, found.id)
        sure(f"Delete {clean(found.name)}?", yes=yes)
        services.class_removals.remove(found.id, services.accounts.local().name)
        services.sessions.reconcile()
        echo(f"The class {clean(found.name)} is deleted.")


def _say(services: Kindling, class_id: str) -> None:
    seen = services.class_removals.preview(class_id, services.accounts.local().name)
    gone = f"{counted(seen.learners, 'membership')}, {counted(seen.waiting, 'invitation')}"
    echo(f"{clean(seen.found.name)} goes for good: join code, {gone}.")
    if seen.forgotten:
        former = counted(seen.forgotten, "former learner")
        echo(f"  and {counted(seen.attempts, 'attempt')} of {former} whose accounts are deleted")
