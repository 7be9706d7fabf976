"""Setting a password: knowing the old one, or by a link that was mailed or handed over."""

from __future__ import annotations

from functools import partial

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from labs.accounts import Account, Resets
from labs.accounts.allowances import network_of
from labs.accounts.guessing import MAILS_OF_ACCOUNT, MAILS_OF_ADDRESS
from labs.accounts.names import key_of
from labs.accounts.resets import MINUTES
from labs.errors import Refused, TooMany
from labs.mail import Mailer
from webapp.account.area import blueprint
from webapp.account.profile import profile_page
from webapp.login import login_required, sign_in_here
from webapp.passwords import looks_at_passwords
from webapp.site import current_account, kindling, public_address, site

RESET_MAIL = """\
Somebody, probably you, asked for a new password for the account {name}.

Set it here, once, within {minutes} minutes:
{link}

If it was not you, do nothing: your password stays as it is.
"""
CHANGED_MAIL = """\
The password of the account {name} was changed, and the account was signed out everywhere.

If it was not you, set a new one now and tell whoever runs the site:
{link}
"""


@blueprint.post("/profile/password")
@login_required
@looks_at_passwords
def password() -> Response | tuple[str, int]:
    """A new password; the old one is asked for when there is one. Everywhere else one is signed out."""
    account = current_account()
    try:
        if account.has_password:
            kindling().guarded.confirm(account, request.form.get("old", ""))
        kindling().accounts.set_password(account.name, _typed_twice())
    except (Refused, TooMany) as error:
        return profile_page(str(error)), 429 if isinstance(error, TooMany) else 422
    sign_in_here(account)
    _tell_owner(account)
    flash("Your password is set. Wherever else you were signed in, you are signed out.", "good")
    return redirect(url_for("account.profile"))


@blueprint.route("/forgot", methods=["GET", "POST"])
def forgot() -> Response | str | tuple[str, int, dict[str, str]]:
    """Ask for a link by mail. What is answered, and how soon, is the same whether there is such an account."""
    mailer = kindling().mailer
    if request.method == "GET" or mailer is None:
        return render_template("account/forgot.html", mails=mailer is not None, problem="")
    name = request.form.get("name", "").strip()[:320]
    by_address, by_name = f"mails {network_of(request.remote_addr)}", f"mails to {key_of(name)}"
    try:
        kindling().allowances.take((by_address, MAILS_OF_ADDRESS), (by_name, MAILS_OF_ACCOUNT))
    except TooMany as error:
        page = render_template("account/forgot.html", mails=True, problem=str(error))
        return page, 429, {"Retry-After": str(error.seconds)}
    site().later(partial(_mail_link, kindling().resets, mailer, name, _reset_address()))
    flash("If this account has an email address, a link is on its way to it. It works once, within an hour.", "note")
    return redirect(url_for("account.sign_in"))


@blueprint.get("/reset/<token>")
def reset(token: str) -> str | tuple[str, int]:
    """The form; opening it uses nothing up."""
    try:
        account = kindling().resets.shown(token)
    except Refused as error:
        return render_template("account/reset_refused.html", problem=str(error)), 403
    return render_template("account/reset.html", owner=account, problem="")


@blueprint.post("/reset/<token>")
@looks_at_passwords
def reset_now(token: str) -> str | tuple[str, int]:
    """Set the password; everywhere one is signed out."""
    try:
        owner = kindling().resets.shown(token)
    except Refused as error:
        return render_template("account/reset_refused.html", problem=str(error)), 403
    try:
        kindling().resets.use(token, _typed_twice())
    except Refused as error:
        return render_template("account/reset.html", owner=owner, problem=str(error)), 422
    _tell_owner(owner)
    return render_template("account/reset_done.html", owner=owner)


def _typed_twice() -> str:
    if request.form.get("new") != request.form.get("again"):
        raise Refused("The two new passwords differ; type the same one twice.")
    return request.form.get("new", "")


def _reset_address() -> str:
    """The address of the page that a token is put behind."""
    last = "-"
    return public_address("account.reset", token=last).removesuffix(last)


def _mail_link(resets: Resets, mailer: Mailer, name: str, address: str) -> None:
    found = resets.by_mail(name)
    if found is not None:
        account, token = found
        text = RESET_MAIL.format(name=account.name, link=address + token, minutes=int(MINUTES))
        mailer.send(account.email, "A new password for Kindling", text)


def _tell_owner(account: Account) -> None:
    """By mail, where there is one: somebody else may have set it."""
    mailer = kindling().mailer
    if mailer is not None and account.email:
        text = CHANGED_MAIL.format(name=account.name, link=public_address("account.forgot"))
        site().later(partial(mailer.send, account.email, "Your password for Kindling was changed", text))
