"""What most commands begin with: settings, services, the learner, and which lab is meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from labs.cli.suggestions import whose, work_for, worked_for
from labs.errors import DiskFull, KindlingError, NotFound
from labs.settings import Settings, load

if TYPE_CHECKING:
    from labs.accounts import ClassInfo
    from labs.bootstrap import Kindling
    from labs.session import SessionView
    from labs.session.grader import Grader

learner_option: Callable[[Any], Any] = click.option(
    "--learner", metavar="NAME", help="Whose lab it is (default: you).", default=None
)


def settings() -> Settings:
    """The settings, and the log opened where they say."""
    from labs.cli.logfile import open_log

    found = load()
    open_log(found)
    return found


@contextmanager
def kindling(grader: Grader | None = None, *, frees: bool = False) -> Iterator[Kindling]:
    """The services, given back at the end. ``frees``: for what frees space, also when none is left."""
    found = settings()
    from labs import ballast
    from labs.bootstrap import bootstrap

    if frees:
        ballast.give_up(found.home)
    services = bootstrap(found, grader=grader)
    if not frees:
        ballast.keep(found.home)
    try:
        yield services
    except DiskFull as error:
        raise DiskFull(str(error), _what_to_stop(services, error.fix)) from error
    finally:
        services.close()


def _what_to_stop(services: Kindling, fix: str) -> str:
    """The fix with a lab that is there, where it says to stop one."""
    from labs.accounts import local_name
    from labs.records.failures import STOP

    if fix != STOP:
        return fix
    try:
        live = [one.lab for one in services.sessions.all(worked_for() or local_name()) if one.live]
    except KindlingError:  # nobody of this name, or the records cannot be read either
        live = []
    return STOP.replace("LAB", live[0]) if live else ""


def learner_name(services: Kindling, name: str | None) -> str:
    """The account that a command works for, made when there is none; what is suggested from here on is for it."""
    from labs.accounts import local_name

    found = services.accounts.ensure(name).name if name else services.accounts.local().name
    work_for("" if found == local_name() else found)
    return found


def session_of(services: Kindling, learner: str, lab: str | None) -> SessionView:
    """The live session of a lab; of the only one there is when no lab is named."""
    if lab is not None:
        found = services.sessions.current(learner, lab)
        if found is None:
            services.labs.get(lab)  # says which labs there are
            raise NotFound(f"{lab} has not been started{whose()}", f"kindling start {lab}")
        return found
    live = [session for session in services.sessions.all(learner) if session.live]
    if len(live) == 1:
        return live[0]
    if not live:
        raise NotFound(f"no lab has been started{whose()}", "kindling labs")
    raise KindlingError(f"say which lab: {', '.join(sorted(session.lab for session in live))}")


def class_named(services: Kindling, wanted: str) -> ClassInfo:
    """The class of this name or id; whoever sits at this machine may see all of them."""
    every = services.classes.taught_by(services.accounts.local().name)
    found = [one for one in every if wanted == one.id] or [one for one in every if wanted == one.name]
    if len(found) != 1:
        known = ", ".join(f"{one.name} ({one.id})" for one in every) or "none"
        raise KindlingError(f"there is no one class {wanted!r}; there are: {known}")
    return found[0]
