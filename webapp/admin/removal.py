"""The end of somebody's account, their data, and the end of their sign-in links; for admins.

One's own account is not removed here: that asks for the password.
"""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from labs.errors import Refused
from webapp.account.export import exported
from webapp.admin.permissions import only_admins
from webapp.site import current_account, kindling

blueprint = Blueprint("removal", __name__, url_prefix="/accounts/<name>")
blueprint.before_request(only_admins)


@blueprint.get("/delete")
def ask(name: str) -> str | BaseResponse:
    """What goes and what stays."""
    if name == current_account().name:
        return redirect(url_for("leaving.ask"))
    return _page(name)


@blueprint.post("/delete")
def delete(name: str) -> BaseResponse | tuple[str, int]:
    """Do it, for who types the account's name."""
    me = current_account().name
    if name == me:
        return redirect(url_for("leaving.ask"))
    kindling().accounts.get(name)
    try:
        if request.form.get("name", "").strip() != name:
            raise Refused(f"Nothing was deleted: type the account's name, {name}.")
        kindling().removals.remove(name, me)
    except Refused as error:
        return _page(name, str(error)), 422
    flash(f"The account {name} is deleted.", "note")
    return redirect(url_for("admin.users"))


@blueprint.post("/export")
def export(name: str) -> Response:
    """Everything that is stored about an account, for who has a right to it."""
    return exported(name)


@blueprint.post("/links/revoke")
def revoke_links(name: str) -> BaseResponse:
    """End the links that were made and not used."""
    ended = kindling().removals.revoke_links(name)
    flash(f"{name}'s sign-in link does not work any more." if ended else f"{name} has no sign-in link.", "note")
    return redirect(url_for("admin.users"))


def _page(name: str, problem: str = "") -> str:
    seen = kindling().removals.preview(name)
    return render_template("admin/delete.html", user=seen.account, seen=seen, problem=problem)
