"""The profile page and where one is signed in, with a button to end each."""

from __future__ import annotations

from flask import flash, g, redirect, render_template, url_for
from werkzeug.wrappers import Response

from webapp.account.area import blueprint
from webapp.account.browsers import browser_of
from webapp.login import leave_here, login_required
from webapp.site import current_account, kindling


def profile_page(problem: str = "", *, code: str = "", no_class: str = "") -> str:
    """The page; ``problem`` is what was wrong with a new password, ``no_class`` with the join code ``code``."""
    account = current_account()
    return render_template(
        "account/profile.html",
        joined=kindling().classes.joined(account.name),
        signed_in=[(one, browser_of(one.agent)) for one in kindling().sign_ins.of(account.id)],
        here=g.here.sign_in,
        problem=problem,
        code=code,
        no_class=no_class,
    )


@blueprint.post("/profile/sign-ins/<int:sign_in>/end")
@login_required
def end_sign_in(sign_in: int) -> Response:
    """Sign out somewhere."""
    if sign_in == g.here.sign_in:
        leave_here()
        flash("You are signed out.", "note")
        return redirect(url_for("lessons.home"))
    kindling().sign_ins.end(current_account().id, sign_in)
    flash("You are signed out there.", "good")
    return redirect(url_for("account.profile"))


@blueprint.post("/profile/sign-out-everywhere")
@login_required
def sign_out_everywhere() -> Response:
    """Sign out here and everywhere else."""
    kindling().sign_ins.end_all(current_account().id)
    leave_here()
    flash("You are signed out everywhere.", "good")
    return redirect(url_for("lessons.home"))
