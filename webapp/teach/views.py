"""Classes: which there are, a new one, and a way in for a learner without a password."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from labs.accounts import Account, ClassInfo
from labs.accounts.resets import MINUTES
from labs.errors import NotFound, Refused
from webapp.site import current_account, kindling, public_address
from webapp.teach.permissions import instructors_only

blueprint = Blueprint("teach", __name__, url_prefix="/classes")
LINK_MINUTES = 24 * 60.0


@blueprint.get("/")
@instructors_only
def classes() -> str:
    """Every class one teaches."""
    return render_template(
        "teach/classes.html", classes=kindling().classes.taught_by(current_account().name), problem=""
    )


@blueprint.post("/")
@instructors_only
def create() -> Response | tuple[str, int]:
    """Open a class."""
    found = kindling().classes
    try:
        made = found.create_class(request.form.get("name", "").strip()[:200], current_account().name)
    except Refused as error:
        page = render_template(
            "teach/classes.html", classes=found.taught_by(current_account().name), problem=str(error)
        )
        return page, 422
    flash(f"{made.name} is open. Its join code is {made.join_code}.", "good")
    return redirect(url_for("reports.of_class", class_id=made.id))


@blueprint.post("/<class_id>/learners/<learner>/link")
@instructors_only
def link(class_id: str, learner: str) -> str:
    """A one-time link for a learner of this class who has no password yet."""
    found, account = _learner(class_id, learner)
    if account.role != "learner" or account.has_password:
        raise Refused(f"{account.name} has a password and signs in with it.")
    token = kindling().accounts.login_link(account.name, LINK_MINUTES)
    address = public_address("account.link", token=token)
    return render_template("teach/link.html", found=found, learner=account, address=address, hours=LINK_MINUTES / 60)


@blueprint.post("/<class_id>/learners/<learner>/reset")
@instructors_only
def reset(class_id: str, learner: str) -> str:
    """A link with which a learner of this class sets a new password."""
    found, account = _learner(class_id, learner)
    token = kindling().resets.by_hand(account.name, current_account())
    address = public_address("account.reset", token=token)
    return render_template("teach/reset.html", found=found, learner=account, address=address, minutes=MINUTES)


def _learner(class_id: str, learner: str) -> tuple[ClassInfo, Account]:
    classes, me = kindling().classes, current_account().name
    found = classes.class_of(class_id, me)
    account = next((one for one in classes.members(class_id, me) if one.name == learner), None)
    if account is None:
        raise NotFound("there is no such learner in this class")
    return found, account
