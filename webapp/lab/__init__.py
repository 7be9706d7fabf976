"""Labs: the page a learner works from, live."""

from __future__ import annotations

from flask import Flask

from webapp.lab import attempts, live, predict, views


def register(app: Flask) -> None:
    """Add the area to ``app``."""
    for part in (views, live, attempts, predict):
        app.register_blueprint(part.blueprint)
