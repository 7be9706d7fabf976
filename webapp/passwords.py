"""Which views look at passwords: each takes a moment of a whole processor, so the server has them wait in a line of
their own, in which nobody's page stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flask import Flask
from werkzeug.exceptions import HTTPException

View = TypeVar("View", bound=Callable[..., Any])


def looks_at_passwords(view: View) -> View:
    """Mark a view that hashes a password when something is posted to it."""
    view.looks_at_passwords = True  # type: ignore[attr-defined]  # read below
    return view


def hashes_passwords(app: Flask, environ: Mapping[str, Any]) -> bool:
    """Whether the view that is asked hashes one."""
    if environ["REQUEST_METHOD"] != "POST":
        return False
    try:
        endpoint, _ = app.url_map.bind("site").match(environ["PATH_INFO"], "POST")
    except HTTPException:  # there is no such page, or it is elsewhere
        return False
    return getattr(app.view_functions.get(endpoint), "looks_at_passwords", False)
