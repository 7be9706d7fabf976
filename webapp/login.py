"""``login_required`` for views: Flask-Login's, with types."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import flask_login

Given = ParamSpec("Given")
Result = TypeVar("Result")


def login_required(view: Callable[Given, Result]) -> Callable[Given, Result]:
    """Only for who is signed in; anybody else is sent to sign in (or told so, in JSON)."""
    return cast(Callable[Given, Result], flask_login.login_required(view))
