"""Who is here: signing in (password, one-time link), coming in by a code or an invitation, the profile."""

from __future__ import annotations

from flask import Flask

from webapp.account import enrolment, leaving, password, profile, views
from webapp.account.area import blueprint

__all__ = ["enrolment", "password", "profile", "register", "views"]


def register(app: Flask) -> None:
    """Add the area to ``app``."""
    app.register_blueprint(blueprint)
    app.register_blueprint(leaving.blueprint)
