"""``kindling access``: who beside admins may start labs on a provider that gives power over this machine.

Whoever can run this on the machine can read and write its records, so nobody is asked who they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from labs.cli.context import class_named, kindling
from labs.cli.output import clean, echo, table
from labs.errors import KindlingError

if TYPE_CHECKING:
    from labs.bootstrap import Kindling


@click.group(invoke_without_command=True)
@click.pass_context
def access(context: click.Context) -> None:
    """Who beside admins may use providers that give power over this machine (kind)."""
    if context.invoked_subcommand is None:
        with kindling() as services:
            _show(services)


@access.command()
@click.argument("provider")
@click.option("--role", metavar="ROLE", help="Every learner, or every instructor.")
@click.option("--class", "class_name", metavar="NAME", help="Whoever is in this class (name or id).")
@click.option("--account", metavar="NAME", help="One account.")
def allow(provider: str, role: str | None, class_name: str | None, account: str | None) -> None:
    """Let a role, a class or an account use PROVIDER."""
    with kindling() as services:
        scope, subject = _subject(services, role, class_name, account)
        made = services.grants.allow(provider, scope, subject)
        echo(f"{clean(made.shown)} may start labs on {made.provider}.")


@access.command()
@click.argument("provider")
@click.option("--role", metavar="ROLE", help="As it was allowed.")
@click.option("--class", "class_name", metavar="NAME", help="As it was allowed.")
@click.option("--account", metavar="NAME", help="As it was allowed.")
def revoke(provider: str, role: str | None, class_name: str | None, account: str | None) -> None:
    """Take that back; labs that run by it are stopped."""
    with kindling() as services:
        scope, subject = _subject(services, role, class_name, account)
        wanted = (provider, scope, subject)
        found = [one for one in services.grants.all() if (one.provider, one.scope, one.subject) == wanted]
        if not found:
            raise KindlingError("there is no such grant", "kindling access")
        services.grants.revoke(found[0].id)
        services.sessions.reconcile()
        echo(f"{clean(found[0].shown)} may not start labs on {provider} by this any more.")


def _subject(services: Kindling, role: str | None, class_name: str | None, account: str | None) -> tuple[str, str]:
    if [role, class_name, account].count(None) != 2:
        raise click.UsageError("say one of --role, --class and --account")
    if class_name is not None:
        return "class", class_named(services, class_name).id
    return ("role", role) if role is not None else ("account", account or "")


def _show(services: Kindling) -> None:
    for provider in services.grants.privileged():
        rules = services.grants.rules
        echo(f"{provider}: admins, {rules.total} clusters at most; {rules.each} of anybody else")
    found = services.grants.all()
    if found:
        echo(table(("provider", "let in"), [(one.provider, one.shown) for one in found]))
