"""What can be taken away of a class: its join code, a learner's place or sign-in link, the class itself."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from labs.accounts import Account
from labs.errors import NotFound, Refused
from webapp.site import current_account, kindling
from webapp.teach.permissions import instructors_only

blueprint = Blueprint("manage", __name__, url_prefix="/classes/<class_id>/manage")


@blueprint.get("")
@instructors_only
def page(class_id: str) -> str:
    """All of it."""
    classes, me = kindling().classes, current_account().name
    found = classes.class_of(class_id, me)
    return render_template("teach/manage.html", found=found, class_id=class_id, members=classes.members(class_id, me))


@blueprint.post("/code/renew")
@instructors_only
def renew_code(class_id: str) -> Response:
    """Another join code."""
    made = kindling().class_removals.renew_code(class_id, current_account().name)
    flash(f"The join code is now {made.join_code}; the old one does not work any more.", "good")
    return _back(class_id)


@blueprint.post("/code/close")
@instructors_only
def close(class_id: str) -> Response:
    """No join code."""
    kindling().class_removals.close(class_id, current_account().name)
    flash("Nobody can join with a code until you make a new one.", "note")
    return _back(class_id)


@blueprint.get("/learners/<learner>/remove")
@instructors_only
def ask_learner(class_id: str, learner: str) -> str:
    """What it means that they go."""
    found = kindling().classes.class_of(class_id, current_account().name)
    return render_template(
        "teach/remove_learner.html", found=found, class_id=class_id, learner=_member(class_id, learner)
    )


@blueprint.post("/learners/<learner>/remove")
@instructors_only
def remove_learner(class_id: str, learner: str) -> Response:
    """Out of the class."""
    if kindling().class_removals.remove_learner(class_id, current_account().name, learner):
        flash(f"{learner} is not in the class any more. What they handed in stays theirs.", "note")
    else:
        flash(f"{learner} is not in the class.", "note")
    return _back(class_id)


@blueprint.post("/learners/<learner>/links/revoke")
@instructors_only
def revoke_links(class_id: str, learner: str) -> Response:
    """End the sign-in links of a learner who has no password yet."""
    account = _member(class_id, learner)
    if account.role != "learner" or account.has_password:
        raise Refused(f"{account.name} has a password; only an admin can end their links.")
    ended = kindling().removals.revoke_links(account.name)
    flash(f"{account.name}'s sign-in link does not work any more." if ended else f"{account.name} has no link.", "note")
    return _back(class_id)


@blueprint.get("/delete")
@instructors_only
def ask(class_id: str) -> str:
    """What goes with the class."""
    return _ask(class_id)


@blueprint.post("/delete")
@instructors_only
def delete(class_id: str) -> Response | tuple[str, int]:
    """Do it, for who types the class's name."""
    me = current_account().name
    found = kindling().classes.class_of(class_id, me)
    if " ".join(request.form.get("name", "").split()) != found.name:
        return _ask(class_id, f"Nothing was deleted: type the name of the class, {found.name}."), 422
    kindling().class_removals.remove(class_id, me)
    flash(f"{found.name} is deleted.", "note")
    return redirect(url_for("teach.classes"))


def _ask(class_id: str, problem: str = "") -> str:
    seen = kindling().class_removals.preview(class_id, current_account().name)
    return render_template("teach/delete.html", found=seen.found, class_id=class_id, seen=seen, problem=problem)


def _member(class_id: str, learner: str) -> Account:
    members = kindling().classes.members(class_id, current_account().name)
    account = next((one for one in members if one.name == learner), None)
    if account is None:
        raise NotFound("there is no such learner in this class")
    return account


def _back(class_id: str) -> Response:
    return redirect(url_for("manage.page", class_id=class_id))
