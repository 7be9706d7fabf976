"""The site: an application factory, a blueprint per area, and nothing that the command could not do as well.

Views call the services of :class:`labs.bootstrap.Kindling` and show what these return. Nothing here talks to a cluster,
holds state that must last, or connects to anything at import.
"""

from __future__ import annotations

from flask import Flask

from labs.bootstrap import Kindling, bootstrap
from labs.locks import Locks
from labs.settings import Settings, load
from webapp import (
    account,
    admin,
    audit,
    cookies,
    csrf,
    error_pages,
    formats,
    health,
    lab,
    lessons,
    limits,
    security,
    teach,
)
from webapp.content import Library
from webapp.counters import Counters
from webapp.login import find_who_is_here
from webapp.progress import Progress
from webapp.provider_choices import ProviderChoices
from webapp.site import Site, install
from webapp.streams import Streams

__all__ = ["create_app"]

MAX_REQUEST_BYTES = 1024 * 1024


def create_app(kindling_or_settings: Kindling | Settings | None = None, counters: Counters | None = None) -> Flask:
    """The site over these services; settings are read from the environment when nothing is given.

    ``counters`` are those of all processes that serve it. Services are opened here (the database is made when needed);
    clusters are not touched before somebody asks.
    """
    if kindling_or_settings is None:
        kindling_or_settings = load()
    kindling = bootstrap(kindling_or_settings) if isinstance(kindling_or_settings, Settings) else kindling_or_settings
    settings, counters = kindling.settings, counters or Counters()
    app = Flask(__name__, static_folder="static", static_url_path="/static")
    app.config.update(
        SECRET_KEY=cookies.secret_key(settings),
        MAX_CONTENT_LENGTH=MAX_REQUEST_BYTES,
        MAX_FORM_MEMORY_SIZE=MAX_REQUEST_BYTES,
        SESSION_COOKIE_NAME=cookies.SESSION,
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https:"),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SEND_FILE_MAX_AGE_DEFAULT=3600,
    )
    streams = Streams(Locks(settings.locks / "streams"))
    progress = Progress(kindling.records, kindling.sessions.now)
    choices = ProviderChoices(kindling.providers, kindling.sessions.open_to)
    install(app, Site(kindling, Library(settings.courses), progress, streams, choices))
    app.before_request(find_who_is_here)
    security.protect(app, settings)
    csrf.protect(app)
    audit.protect(app)
    limits.protect(app, counters)
    formats.register(app)
    error_pages.register(app)
    for area in (account, admin, health, lab, lessons, teach):
        area.register(app)
    return app
