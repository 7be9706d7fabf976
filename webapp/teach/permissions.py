"""Who may enter the instructor's pages. Learners get the same 404 as for a page that does not exist."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import abort

from labs.accounts import ClassInfo
from webapp.login import login_required
from webapp.site import current_account, kindling

Given = ParamSpec("Given")
Result = TypeVar("Result")
EVERYBODY = "all"


def instructors_only(view: Callable[Given, Result]) -> Callable[Given, Result]:
    """Only for instructors and admins."""

    @wraps(view)
    def inner(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        if current_account().role not in ("instructor", "admin"):
            abort(404)
        return view(*args, **kwargs)

    return login_required(inner)


def class_or_everybody(class_id: str) -> ClassInfo | None:
    """The class, for who teaches it; None for everybody, which admins alone may ask for."""
    if class_id != EVERYBODY:
        return kindling().classes.class_of(class_id, current_account().name)
    if current_account().role != "admin":
        abort(404)
    return None


def report_id(found: ClassInfo | None) -> str | None:
    """What the reports call it."""
    return found.id if found else None
