"""Courses, lessons and their quizzes. Open to all; answers are kept for who is signed in."""

from __future__ import annotations

from flask import Flask

from webapp.lessons import views


def register(app: Flask) -> None:
    """Add the area to ``app``."""
    app.register_blueprint(views.blueprint)
