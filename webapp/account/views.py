"""Pages of an account."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask_login import current_user, logout_user
from werkzeug.wrappers import Response

from labs.errors import Refused
from webapp import cookies
from webapp.account.signin import ADDRESS_LIMIT, SIGN_IN_LIMIT, enter, limiter, own_name, safe_next, tried_name
from webapp.login import login_required
from webapp.passwords import looks_at_passwords
from webapp.site import current_account, kindling

blueprint = Blueprint("account", __name__)
THEMES = ("light", "dark", "auto")


@blueprint.get("/sign-in")
def sign_in() -> Response | str:
    """The form."""
    if current_user.is_authenticated:
        return redirect(safe_next(request.args.get("next")))
    return render_template("account/sign_in.html", next=request.args.get("next", ""), name="", problem="")


@blueprint.post("/sign-in")
@limiter.limit(ADDRESS_LIMIT)
@limiter.limit(SIGN_IN_LIMIT, key_func=tried_name)
@looks_at_passwords
def sign_in_now() -> Response | str | tuple[str, int]:
    """Try a name and a password."""
    name, next_page = request.form.get("name", "").strip(), request.form.get("next", "")
    try:
        account = kindling().accounts.sign_in(name, request.form.get("password", ""))
    except Refused as error:
        page = render_template("account/sign_in.html", next=next_page, name=name, problem=str(error))
        return page, 403
    enter(account)
    return redirect(safe_next(next_page))


@blueprint.get("/login/<token>")
@limiter.limit(ADDRESS_LIMIT)
def link(token: str) -> Response | str | tuple[str, int]:
    """A one-time link. Asking for its headers (as link previews do) does not use it up."""
    if request.method == "HEAD":
        return "", 204
    try:
        account = kindling().accounts.redeem(token)
    except Refused as error:
        if current_user.is_authenticated:
            return redirect(url_for("lessons.home"))
        return render_template("account/link_refused.html", problem=str(error), fix=error.fix), 403
    enter(account)
    return redirect(safe_next(request.args.get("next")))


@blueprint.post("/sign-out")
def sign_out() -> Response:
    """Leave."""
    logout_user()
    flash("You are signed out.", "note")
    return redirect(url_for("lessons.home"))


@blueprint.route("/register", methods=["GET", "POST"])
@limiter.limit(ADDRESS_LIMIT, methods=["POST"])
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
            form |= {"name": place.name, "email": place.email, "display_name": place.display_name}
        return render_template("account/register.html", form=form, place=place, problem="")
    try:
        account, joined = invitations.enrol(password=request.form.get("password", ""), **form)
    except Refused as error:
        return render_template("account/register.html", form=form, place=place, problem=str(error)), 422
    enter(account)
    flash(f"Welcome. You are in {joined.name}.", "good")
    return redirect(url_for("lessons.home"))


@blueprint.get("/invitation/<token>")
@limiter.limit(ADDRESS_LIMIT)
def invitation(token: str) -> str | tuple[str, int]:
    """What an invitation is for, and the two ways to take it: with the account one has, or with a new one."""
    try:
        place = kindling().invitations.shown(token)
    except Refused as error:
        return render_template("account/invitation_refused.html", problem=str(error)), 403
    return render_template("account/invitation.html", place=place, token_of_place=token)


@blueprint.post("/invitation/<token>")
@login_required
@limiter.limit("20 per minute", key_func=own_name)
def accept_invitation(token: str) -> Response | tuple[str, int]:
    """Take the place with the account that is signed in."""
    try:
        joined = kindling().invitations.accept(token, current_account().name)
    except Refused as error:
        return render_template("account/invitation_refused.html", problem=str(error)), 403
    flash(f"You are in {joined.name}.", "good")
    return redirect(url_for("account.profile"))


@blueprint.get("/profile")
@login_required
def profile() -> str:
    """One's own account and classes."""
    account = current_account()
    return render_template("account/profile.html", joined=kindling().classes.joined(account.name), problem="")


@blueprint.post("/profile/password")
@login_required
@limiter.limit(SIGN_IN_LIMIT, key_func=own_name)
@looks_at_passwords
def password() -> Response | tuple[str, int]:
    """A new password; the old one is asked for when there is one."""
    account, accounts, classes = current_account(), kindling().accounts, kindling().classes
    try:
        if account.has_password:
            accounts.sign_in(account.name, request.form.get("old", ""))
        if request.form.get("new") != request.form.get("again"):
            raise Refused("The two new passwords differ; type the same one twice.")
        accounts.set_password(account.name, request.form.get("new", ""))
    except Refused as error:
        joined = classes.joined(account.name)
        return render_template("account/profile.html", joined=joined, problem=str(error)), 422
    flash("Your password is set.", "good")
    return redirect(url_for("account.profile"))


@blueprint.post("/join")
@login_required
@limiter.limit("20 per minute", key_func=own_name)
def join() -> Response:
    """Enter a class with its code."""
    try:
        joined = kindling().classes.join(request.form.get("code", "").strip(), current_account().name)
    except Refused as error:
        flash(str(error), "bad")
    else:
        flash(f"You are in {joined.name}.", "good")
    return redirect(url_for("account.profile"))


@blueprint.post("/classes/<class_id>/leave")
@login_required
def leave(class_id: str) -> Response:
    """Leave a class; what was handed in stays."""
    kindling().classes.leave(class_id, current_account().name)
    flash("You have left the class. What you handed in stays.", "note")
    return redirect(url_for("account.profile"))


@blueprint.post("/theme")
def theme() -> Response:
    """Choose light, dark, or what the system says (for browsers without script)."""
    chosen = request.form.get("theme", "auto")
    response = redirect(safe_next(request.form.get("next")))
    cookies.keep_theme(current_app, response, chosen if chosen in THEMES else "auto")
    return response
