"""The cookie side of signing in: Flask-Login's user, where its name comes from, and how often one may try."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, flash, redirect, request, session, url_for
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager, UserMixin, current_user, login_user
from itsdangerous import BadSignature
from werkzeug.http import parse_cookie
from werkzeug.wrappers import Response as BaseResponse

from labs.accounts import Account
from webapp import cookies as cookies_of
from webapp.error_pages import error_response, wants_json
from webapp.site import kindling

SIGN_IN_LIMIT = "10 per minute; 60 per hour"  # for one name from one address
ADDRESS_LIMIT = "120 per minute; 1000 per hour"  # a whole class comes from one address, all at once
manager = LoginManager()
limiter = Limiter(get_remote_address)


class SignedIn(UserMixin):  # type: ignore[misc]  # flask_login has no types
    """Who is signed in."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def get_id(self) -> str:
        return str(self.account.id)


def cookie_owner(app: Flask, cookies: str) -> str:
    """Whose account a ``Cookie`` header names, if this site has signed it; "" otherwise. Only to share out work by."""
    sent = parse_cookie(cookies)
    value = sent.get(cookies_of.name(cookies_of.SESSION, secure=True)) or sent.get(cookies_of.SESSION, "")
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]  # a SecureCookie one
    try:
        found = serializer.loads(value) if value else {}
    except BadSignature:
        return ""
    return str(found.get("_user_id") or "")


def tried_name() -> str:
    """Whose limit an attempt to sign in counts against: the name's, at this address."""
    return f"{get_remote_address()} {request.form.get('name', '').strip().lower()[:100]}"


def own_name() -> str:
    """Whose limit counts for who is signed in: their own."""
    return f"account {current_user.get_id()}"


def _load(user_id: str) -> SignedIn | None:
    account = kindling().accounts.by_id(int(user_id)) if user_id.isdigit() else None
    return SignedIn(account) if account else None


def _unauthorized() -> BaseResponse | Response:
    if wants_json():
        return error_response(401, "You are signed out. Load the page again and sign in.")
    flash("Sign in to go on.", "note")
    target = request.full_path.rstrip("?") if request.method == "GET" else ""
    return redirect(url_for("account.sign_in", next=target) if target else url_for("account.sign_in"))


def enter(account: Account) -> None:
    """Sign in, in a session that carries nothing over from before."""
    session.clear()
    session.permanent = True
    login_user(SignedIn(account))


def safe_next(target: str | None) -> str:
    """``target`` when it is a path of this site, else the start page."""
    if target and target.startswith("/") and not target.startswith(("//", "/\\")):
        parts = urlsplit(target)
        if not parts.scheme and not parts.netloc and "\\" not in target:
            return target
    return url_for("lessons.home")


manager.user_loader(_load)
manager.unauthorized_handler(_unauthorized)
