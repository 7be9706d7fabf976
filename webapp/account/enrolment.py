"""Coming in: a new account for who has a join code or an invitation, and an invitation taken with an old one."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from labs.accounts.allowances import network_of
from labs.accounts.guessing import NEW_ACCOUNTS_OF_ADDRESS
from labs.errors import Refused, TooMany
from webapp.account.area import blueprint
from webapp.login import login_required, sign_in_here
from webapp.passwords import looks_at_passwords
from webapp.site import current_account, kindling


@blueprint.route("/register", methods=["GET", "POST"])
@looks_at_passwords
def enrol() -> Response | str | tuple[str, int]:
    """A new account for somebody who has a class's join code or an invitation, and a place in that class."""
    given = request.form if request.method == "POST" else request.args
    form = {key: given.get(key, "").strip() for key in ("name", "display_name", "email", "code", "invitation")}
    invitations = kindling().invitations
    try:
        place = invitations.shown(form["invitation"]) if form["invitation"] else None
    except Refused as error:
        return render_template("account/invitation_refused.html", problem=str(error)), 403
    if request.method == "GET":
        if place is not None:
            free = {key: text for key, text in (("name", place.name), ("email", place.email)) if not _taken(text)}
            form |= {"display_name": place.display_name, **free}
        return render_template("account/register.html", form=form, place=place, problem="")
    try:
        use = (f"new accounts {network_of(request.remote_addr)}", NEW_ACCOUNTS_OF_ADDRESS)
        kindling().allowances.take(use)
        account, joined = invitations.enrol(password=request.form.get("password", ""), **form)
    except (Refused, TooMany) as error:
        status = 429 if isinstance(error, TooMany) else 422
        return render_template("account/register.html", form=form, place=place, problem=str(error)), status
    sign_in_here(account)
    flash(f"Welcome. You are in {joined.name}.", "good")
    return redirect(url_for("lessons.home"))


@blueprint.get("/invitation/<token>")
def invitation(token: str) -> str | tuple[str, int]:
    """What an invitation is for, and the two ways to take it: with the account one has, or with a new one."""
    try:
        place = kindling().invitations.shown(token)
    except Refused as error:
        return render_template("account/invitation_refused.html", problem=str(error)), 403
    return render_template("account/invitation.html", place=place, token_of_place=token)


@blueprint.post("/invitation/<token>")
@login_required
def accept_invitation(token: str) -> Response | tuple[str, int]:
    """Take the place with the account that is signed in."""
    try:
        joined = kindling().invitations.accept(token, current_account().name)
    except Refused as error:
        return render_template("account/invitation_refused.html", problem=str(error)), 403
    flash(f"You are in {joined.name}.", "good")
    return redirect(url_for("account.profile"))


def _taken(name_or_email: str) -> bool:
    """Whether somebody signs in with this: then it is not proposed."""
    return kindling().accounts.find(name_or_email) is not None
