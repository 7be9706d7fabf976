"""Setting a password."""

from __future__ import annotations

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from labs.errors import Refused, TooMany
from webapp.account.area import blueprint
from webapp.account.profile import profile_page
from webapp.login import login_required, sign_in_here
from webapp.passwords import looks_at_passwords
from webapp.site import current_account, kindling


@blueprint.post("/profile/password")
@login_required
@looks_at_passwords
def password() -> Response | tuple[str, int]:
    """A new password; the old one is asked for when there is one. Everywhere else one is signed out."""
    account = current_account()
    try:
        if account.has_password:
            kindling().guarded.confirm(account, request.form.get("old", ""))
        if request.form.get("new") != request.form.get("again"):
            raise Refused("The two new passwords differ; type the same one twice.")
        kindling().accounts.set_password(account.name, request.form.get("new", ""))
    except (Refused, TooMany) as error:
        return profile_page(str(error)), 429 if isinstance(error, TooMany) else 422
    sign_in_here(account)
    flash("Your password is set. Wherever else you were signed in, you are signed out.", "good")
    return redirect(url_for("account.profile"))
