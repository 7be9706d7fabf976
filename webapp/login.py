"""Who is here: found once for each request by the cookie's token, and required by the views of who is signed in.

The cookie holds an opaque token and nothing else; what it stands for is a row that may end at any moment
(:mod:`labs.accounts.sign_ins`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from flask import Response, after_this_request, current_app, flash, g, redirect, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from labs.accounts import Account
from labs.errors import NotFound
from webapp import cookies, devices
from webapp.error_pages import error_response, wants_json
from webapp.site import kindling, site

Given = ParamSpec("Given")
Result = TypeVar("Result")
NOBODY_ASKS = ("static", "health.alive", "health.ready")
"""Pages that look the same for everybody."""


def find_who_is_here() -> None:
    """Before a request: look who shows the token. Noting that they were seen waits for no lock."""
    token = request.cookies.get(cookies.name(cookies.SIGN_IN, secure=cookies.over_https(current_app)), "")
    if not token or request.endpoint in NOBODY_ASKS:
        return
    sign_ins, address = kindling().sign_ins, request.remote_addr or ""
    found = sign_ins.whose(token)
    site().owners.note(token, found.account.id if found else None)
    if found is None:
        return
    g.here = found
    if found.stale:
        site().later(lambda: sign_ins.seen(found.sign_in, address))


def sign_in_here(account: Account) -> None:
    """Sign in with this answer, under a new token and carrying nothing over from before."""
    _end_here()
    token = kindling().sign_ins.begin(account.id, request.remote_addr or "", request.user_agent.string)
    site().owners.note(token, account.id)
    g.asked_by = account.name

    @after_this_request
    def keep(response: BaseResponse) -> BaseResponse:
        cookies.keep_sign_in(current_app, response, token, kindling().settings.signed_in_days)
        devices.remember(current_app, response, account.id)
        return response


def leave_here() -> None:
    """Sign out with this answer; a no-op for who is not signed in."""
    _end_here()

    @after_this_request
    def forget(response: BaseResponse) -> BaseResponse:
        cookies.forget_sign_in(current_app, response)
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response


def login_required(view: Callable[Given, Result]) -> Callable[Given, Result]:
    """Only for who is signed in; anybody else is sent to sign in (or told so, in JSON)."""

    @wraps(view)
    def inner(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        return view(*args, **kwargs) if "here" in g else cast(Result, _sent_to_sign_in())

    return inner


def _end_here() -> None:
    found = g.pop("here", None)
    if session:
        session.clear()
    if found is not None:
        with suppress(NotFound):  # it ended a moment ago
            kindling().sign_ins.end(found.account.id, found.sign_in)


def _sent_to_sign_in() -> BaseResponse | Response:
    if wants_json():
        return error_response(401, "You are signed out. Load the page again and sign in.")
    flash("Sign in to go on.", "note")
    target = request.full_path.rstrip("?") if request.method == "GET" else ""
    return redirect(url_for("account.sign_in", next=target) if target else url_for("account.sign_in"))
