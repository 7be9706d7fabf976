"""Signing in and out, the profile, classes one is in, the theme."""

from __future__ import annotations

from flask import current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from labs.accounts.guessing import CODES_OF_ACCOUNT
from labs.errors import Refused, TooMany
from webapp import cookies
from webapp.account.area import blueprint, caller, safe_next
from webapp.account.profile import profile_page
from webapp.login import leave_here, login_required, sign_in_here
from webapp.passwords import looks_at_passwords
from webapp.site import current_account, current_account_or_none, kindling

THEMES = ("light", "dark", "auto")


@blueprint.get("/sign-in")
def sign_in() -> Response | str:
    """The form."""
    if current_account_or_none() is not None:
        return redirect(safe_next(request.args.get("next")))
    return render_template("account/sign_in.html", next=request.args.get("next", ""), name="", problem="")


@blueprint.post("/sign-in")
@looks_at_passwords
def sign_in_now() -> Response | str | tuple[str, int, dict[str, str]]:
    """Try a name and a password."""
    name, next_page = request.form.get("name", "").strip(), request.form.get("next", "")
    try:
        account = kindling().guarded.by_password(name, request.form.get("password", ""), caller())
    except TooMany as error:
        page = render_template("account/sign_in.html", next=next_page, name=name, problem=str(error), locked=True)
        return page, 429, {"Retry-After": str(error.seconds)}
    except Refused as error:
        page = render_template("account/sign_in.html", next=next_page, name=name, problem=str(error))
        return page, 403, {}
    sign_in_here(account)
    return redirect(safe_next(next_page))


@blueprint.route("/login/<token>", methods=["GET", "POST"])
def link(token: str) -> Response | str | tuple[str, int]:
    """A one-time link. Asking for its headers (as link previews do) does not use it up.

    Where another site's page leads here, a button asks first: nobody is to be signed in as somebody else unawares.
    """
    if request.method == "HEAD":
        return "", 204
    if request.method == "GET" and request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        return render_template("account/link.html", link=token)
    try:
        account = kindling().guarded.by_link(token, caller())
    except Refused as error:
        if current_account_or_none() is not None:
            return redirect(url_for("lessons.home"))
        return render_template("account/link_refused.html", problem=str(error)), 403
    sign_in_here(account)
    return redirect(safe_next(request.args.get("next")))


@blueprint.post("/sign-out")
def sign_out() -> Response:
    """Leave."""
    leave_here()
    flash("You are signed out.", "note")
    return redirect(url_for("lessons.home"))


@blueprint.get("/profile")
@login_required
def profile() -> str:
    """One's own account, classes, and where one is signed in."""
    return profile_page()


@blueprint.post("/join")
@login_required
def join() -> Response | tuple[str, int]:
    """Enter a class with its code."""
    account, code = current_account(), request.form.get("code", "").strip()
    try:
        kindling().allowances.take((f"codes {account.id}", CODES_OF_ACCOUNT))
        joined = kindling().classes.join(code, account.name)
    except (Refused, TooMany) as error:
        return profile_page(code=code, no_class=str(error)), 429 if isinstance(error, TooMany) else 422
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
