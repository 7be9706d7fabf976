"""What instructors see and do: classes, rosters, reports. Whoever teaches nothing finds nothing here."""

from __future__ import annotations

from flask import Flask

from webapp.teach import manage, reports, roster, views


def register(app: Flask) -> None:
    """Add the area to ``app``."""
    for part in (views, roster, reports, manage):
        app.register_blueprint(part.blueprint)
