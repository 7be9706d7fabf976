"""Accounts, and who may use what, for admins."""

from __future__ import annotations

from flask import Flask

from webapp.admin import access, removal, views


def register(app: Flask) -> None:
    """Add the area to ``app``."""
    app.register_blueprint(views.blueprint)
    app.register_blueprint(access.blueprint)
    app.register_blueprint(removal.blueprint)
