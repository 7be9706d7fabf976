"""Who is here: signing in (password, one-time link), the profile, joining a class."""

from __future__ import annotations

from flask import Flask

from webapp.account import leaving, views
from webapp.account.signin import limiter, manager


def register(app: Flask) -> None:
    """Add the area to ``app``."""
    manager.init_app(app)
    limiter.init_app(app)
    app.register_blueprint(views.blueprint)
    app.register_blueprint(leaving.blueprint)
