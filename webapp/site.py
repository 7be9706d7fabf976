"""What every view works with, and how it gets at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from flask import Flask, current_app, g, url_for

from labs.accounts import Account
from labs.bootstrap import Kindling
from webapp.background import Background
from webapp.content import Library
from webapp.owners import Owners
from webapp.progress import Progress
from webapp.provider_choices import ProviderChoices
from webapp.streams import Streams


@dataclass
class Site:
    """The services of one application."""

    kindling: Kindling
    courses: Library
    progress: Progress
    streams: Streams
    provider_choices: ProviderChoices
    owners: Owners = field(default_factory=Owners)
    later: Callable[[Callable[[], object]], None] = field(default_factory=Background)


def install(app: Flask, site: Site) -> None:
    """Give ``app`` its services."""
    app.extensions["kindling-site"] = site


def site() -> Site:
    """The services of the application that answers this request."""
    return site_of(current_app)


def site_of(app: Flask) -> Site:
    """The services of an application."""
    return cast(Site, app.extensions["kindling-site"])


def kindling() -> Kindling:
    """The labs' services."""
    return site().kindling


def public_address(endpoint: str, **values: object) -> str:
    """The whole address of a page, for links that leave the site: below its public address, where one is set."""
    public = kindling().settings.public_url
    return public + url_for(endpoint, **values) if public else url_for(endpoint, **values, _external=True)  # type: ignore[arg-type]  # Flask gives each of its own options a type


def current_account() -> Account:
    """Who is signed in; only behind ``login_required``."""
    return cast(Account, g.here.account)


def current_account_or_none() -> Account | None:
    """Who is signed in, if anybody."""
    return cast(Account, g.here.account) if "here" in g else None
