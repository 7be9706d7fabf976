"""Who beside admins may use providers that give power over the machine."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from labs.access import ROLES
from webapp.admin.permissions import only_admins
from webapp.site import current_account, kindling

blueprint = Blueprint("access", __name__, url_prefix="/access")
blueprint.before_request(only_admins)


@blueprint.get("/")
def grants() -> str:
    """What is privileged, who was let in, and a form for more."""
    found, rules = kindling().grants, kindling().grants.rules
    return render_template(
        "admin/access.html",
        privileged=found.privileged(),
        grants=found.all(),
        roles=ROLES,
        classes=kindling().classes.taught_by(current_account().name),
        total=rules.total,
        each=rules.each,
    )


@blueprint.post("/")
def allow() -> Response:
    """Let somebody in."""
    scope, _, subject = request.form.get("who", "").partition(":")
    account = request.form.get("account", "").strip()
    made = kindling().grants.allow(request.form.get("provider", ""), scope, subject or account)
    flash(f"{made.shown} may start labs on {made.provider}.", "good")
    return redirect(url_for("access.grants"))


@blueprint.post("/<int:grant>/revoke")
def revoke(grant: int) -> Response:
    """Take it back."""
    gone = kindling().grants.revoke(grant)
    flash(
        f"{gone.shown} may not start labs on {gone.provider} by this any more; labs that ran by it are stopped.", "note"
    )
    return redirect(url_for("access.grants"))
