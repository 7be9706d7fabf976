"""One's own data to take along, and the end of one's own account.

Removing needs the password again: a browser left open is not enough. Who has none yet sets one first.
"""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from labs.errors import Refused, TooMany
from webapp.account.export import exported
from webapp.login import leave_here, login_required
from webapp.passwords import looks_at_passwords
from webapp.site import current_account, kindling

blueprint = Blueprint("leaving", __name__, url_prefix="/profile")


@blueprint.post("/export")
@login_required
def export() -> Response:
    """Everything that is stored about who is signed in."""
    return exported(current_account().name)


@blueprint.get("/delete")
@login_required
def ask() -> str:
    """What goes and what stays, and the form that does it."""
    return _page()


@blueprint.post("/delete")
@login_required
@looks_at_passwords
def delete() -> BaseResponse | tuple[str, int]:
    """Do it, for the right password."""
    account = current_account()
    try:
        if not account.has_password:
            raise Refused("Set a password first, on your profile.")
        if request.form.get("name", "").strip() != account.name:
            raise Refused(f"Nothing was deleted: type your name, {account.name}.")
        kindling().guarded.confirm(account, request.form.get("password", ""))
        kindling().removals.remove(account.name, account.name)
    except (Refused, TooMany) as error:
        return _page(str(error)), 429 if isinstance(error, TooMany) else 422
    leave_here()
    flash("Your account is deleted. Goodbye, and thank you for learning with us.", "note")
    return redirect(url_for("lessons.home"))


def _page(problem: str = "") -> str:
    seen = kindling().removals.preview(current_account().name)
    return render_template("account/delete.html", seen=seen, problem=problem)
