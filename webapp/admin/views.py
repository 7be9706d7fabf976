"""Every account and its role; a one-time link for whoever lost their password."""

from __future__ import annotations

from typing import cast

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from labs.accounts import Role
from labs.errors import KindlingError
from webapp.admin.permissions import only_admins
from webapp.site import current_account, kindling, public_address

blueprint = Blueprint("admin", __name__, url_prefix="/accounts")
ROLES = ("learner", "instructor", "admin")
blueprint.before_request(only_admins)


@blueprint.get("/")
def users() -> str:
    """The list."""
    return render_template("admin/users.html", users=kindling().accounts.all(), roles=ROLES, link="", problem="")


@blueprint.post("/")
def create() -> Response | tuple[str, int]:
    """A new account without a password; its owner comes in by a link."""
    name, role = request.form.get("name", "").strip(), request.form.get("role", "learner")
    accounts = kindling().accounts
    if role not in ROLES:
        abort(400)
    try:
        account = accounts.make(name, cast(Role, role))
    except KindlingError as error:
        page = render_template("admin/users.html", users=accounts.all(), roles=ROLES, link="", problem=str(error))
        return page, 422
    flash(f"{account.name} has an account. Make a link to let them in.", "good")
    return redirect(url_for("admin.users"))


@blueprint.post("/<name>/role")
def role(name: str) -> Response:
    """Change a role; nobody takes away their own, so that there is always an admin."""
    wanted = request.form.get("role", "")
    if wanted not in ROLES:
        abort(400)
    if name == current_account().name:
        flash("Your own role stays; ask another admin to change it.", "bad")
    else:
        kindling().accounts.set_role(name, cast(Role, wanted))
        flash(f"{name} is now {wanted}.", "good")
    return redirect(url_for("admin.users"))


@blueprint.post("/<name>/reset")
def reset(name: str) -> str:
    """A link that sets a new password for this account, once."""
    accounts, token = kindling().accounts, kindling().resets.by_hand(name, current_account())
    address = public_address("account.reset", token=token)
    page = {"users": accounts.all(), "roles": ROLES, "link": address, "name": name, "problem": "", "sets": True}
    return render_template("admin/users.html", **page)


@blueprint.post("/<name>/email/free")
def free_email(name: str) -> Response:
    """Take the email away from an account that is not its owner's, so that the owner can have it."""
    email = kindling().accounts.free_email(name)
    flash(f"{name} has no email any more; somebody else can take {email}.", "good")
    return redirect(url_for("admin.users"))


@blueprint.post("/<name>/disable")
def disable(name: str) -> Response:
    """Sign an account out and let it in no more; nobody does that to themselves."""
    if name == current_account().name:
        flash("Your own account stays; ask another admin to disable it.", "bad")
    else:
        kindling().accounts.disable(name)
        flash(f"{name} is signed out and cannot sign in. What was handed in stays.", "good")
    return redirect(url_for("admin.users"))


@blueprint.post("/<name>/enable")
def enable(name: str) -> Response:
    """Let an account in again."""
    kindling().accounts.enable(name)
    flash(f"{name} can sign in again.", "good")
    return redirect(url_for("admin.users"))


@blueprint.post("/<name>/link")
def link(name: str) -> str:
    """A link that signs this account in, once."""
    accounts = kindling().accounts
    address = public_address("account.link", token=accounts.login_link(accounts.get(name).name, 60.0))
    return render_template("admin/users.html", users=accounts.all(), roles=ROLES, link=address, name=name, problem="")
