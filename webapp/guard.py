"""The door of pages for who is signed in; Flask-Login's, with types."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from flask_login import login_required

Given = ParamSpec("Given")
Result = TypeVar("Result")


def signed_in(view: Callable[Given, Result]) -> Callable[Given, Result]:
    """Only for who is signed in; anybody else is sent to sign in (or told so, in JSON)."""
    return cast(Callable[Given, Result], login_required(view))
