"""``kindling user``: accounts, what is stored about one, and its end.

Whoever can run this on the machine can read and write its records, so nobody is asked who they are.
"""

from __future__ import annotations

import sys

import click

from labs.cli.address import configured, running_site
from labs.cli.context import kindling
from labs.cli.output import clean, echo, table
from labs.settings import Settings

LINK_MINUTES = 60.0


@click.group()
def user() -> None:
    """Accounts: list, sign-in links, reset a password, export, delete."""


@user.command("list")
def show() -> None:
    """List every account."""
    with kindling() as services:
        rows = [
            (one.name, one.role, one.display_name, one.email or "-", "yes" if one.has_password else "no")
            for one in services.accounts.all()
        ]
        echo(table(("name", "role", "shown as", "email", "password"), rows))


@user.command()
@click.argument("name")
@click.option(
    "--to", "path", type=click.Path(dir_okay=False, writable=True, allow_dash=True), default="-", help="File."
)
def export(name: str, path: str) -> None:
    """Write everything that is stored about NAME, as JSON."""
    with kindling() as services:
        services.accounts.get(name)  # before a file is made
        if path == "-":
            services.export.write(name, sys.stdout)
            return
        with open(path, "w", encoding="utf-8") as file:
            services.export.write(name, file)
        echo(f"Everything that is stored about {clean(name)} is in {clean(path)}.")


@user.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete the account NAME. It cannot be taken back; `kindling user export NAME` first."""
    with kindling() as services:
        seen = services.removals.preview(name)
        shown = clean(seen.account.name)
        echo(f"{shown} goes for good: name, email, password, sign-ins, answers to quizzes, predictions in labs.")
        if seen.running:
            echo(f"  stopped, with their clusters: {', '.join(seen.running)}")
        if seen.kept_in:
            echo(f"  attempts that stay under a number: {seen.attempts}, with {clean(', '.join(seen.kept_in))}")
        elif seen.attempts:
            echo(f"  attempts that go as well: {seen.attempts}")
        if seen.taught:
            echo(f"  classes that stay, for admins: {clean(', '.join(seen.taught))}")
        sure(f"Delete {shown}?", yes=yes)
        services.removals.remove(name, None)
        services.sessions.reconcile()
        echo(f"The account {shown} is deleted.")


@user.command()
@click.argument("name")
def reset(name: str) -> None:
    """Print a link with which NAME sets a new password, once, within an hour."""
    with kindling() as services:
        token = services.resets.by_hand(name, None)
        echo(f"{clean(name)} sets a new password, once, within an hour, at:")
        _print_link(services.settings, f"/reset/{token}")


@user.command()
@click.argument("name", required=False)
def link(name: str | None) -> None:
    """Print a link that signs NAME in (default: you), once, within an hour. One made before ends."""
    with kindling() as services:
        account = services.accounts.get(name) if name else services.accounts.local()
        token = services.accounts.login_link(account.name, LINK_MINUTES)
        echo(f"{clean(account.name)} signs in, once, within an hour, at:")
        _print_link(services.settings, f"/login/{token}")


@user.command()
@click.argument("name")
def unlink(name: str) -> None:
    """End the sign-in links of NAME that have not been used."""
    with kindling() as services:
        ended = services.removals.revoke_links(name)
        echo(f"{clean(name)} has no sign-in link any more." if ended else f"{clean(name)} has no sign-in link.")


@user.command("free-email")
@click.argument("name")
def free_email(name: str) -> None:
    """Take the email away from the account NAME, so that its owner can register with it."""
    with kindling() as services:
        email = services.accounts.free_email(name)
        echo(f"{clean(name)} has no email any more; somebody else can take {clean(email)}.")


def _print_link(found: Settings, path: str) -> None:
    site = running_site(found)
    echo(f"{site.address if site else configured(found)}{path}")
    if site is None:
        echo("The site of this home is not up; start it: kindling up")


def sure(question: str, *, yes: bool) -> None:
    """Ask, unless told not to; whoever cannot be asked is told how to say it."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("this cannot be taken back; say --yes if you are sure")
    click.confirm(question, abort=True)
