"""Errors, as pages that say what to do next. No traceback reaches a browser; what was unexpected goes to the log."""

from __future__ import annotations

import logging

from flask import Flask, Response, current_app, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from labs.errors import (
    KindlingError,
    Malformed,
    NotFound,
    NotNow,
    NotPossible,
    Refused,
    SettingsError,
    TooMany,
    Unavailable,
)
from labs.system_errors import as_sentence
from webapp.csrf import NotFromHere
from webapp.site import current_account_or_none

_log = logging.getLogger("kindling.site")
_STATUS: dict[type[KindlingError], int] = {
    NotFound: 404,
    NotNow: 409,
    NotPossible: 409,
    Refused: 403,
    TooMany: 429,
    Malformed: 422,
    Unavailable: 503,
    SettingsError: 500,
}
_SAID = {
    400: ("That request made no sense", "Go back and try it again from the page."),
    401: ("Please sign in", "This page is for people who are signed in."),
    403: ("That is not for this account", "Sign in with an account that may do this, or ask whoever runs this site."),
    404: (
        "There is nothing here",
        "It may have been removed, or it is somebody else's. Start again from the course.",
    ),
    405: ("That cannot be done at this address", "Go back and use the buttons of the page."),
    409: ("Not right now", "Look at the state of the lab and try again."),
    413: ("That is too big", "The site takes at most 1 MiB at once; split the file."),
    415: ("That kind of content is not taken here", "Send the form of the page."),
    421: (
        "This site does not go by that name",
        "Open it at the address that whoever runs it gave you; on this machine, as http://localhost with its port.",
    ),
    422: ("That could not be read", "Mend what is named below and send it again."),
    429: ("Too many at once", "Wait a minute, then try again."),
    500: (
        "Something broke on our side",
        "Nothing you handed in is lost. Try again; if it stays, tell whoever runs this site.",
    ),
    503: ("Not at this moment", "Nothing you handed in before is lost. Wait a moment and try again."),
}
RETRY_SECONDS = 5
"""What a page that cannot be shown now says in ``Retry-After``."""
CSRF_FIELD = "csrf_token"
SECRET = frozenset({"password", "old", "new", "again", "token"})
"""Fields that no page may carry back."""


def register(app: Flask) -> None:
    """Handle every error of ``app``."""
    app.register_error_handler(KindlingError, _kindling_error)
    app.register_error_handler(NotFromHere, _not_from_here)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def wants_json() -> bool:
    """Whether this request came from the pages' own script rather than from a person's browser."""
    taken = request.accept_mimetypes.best_match(["text/html", "application/json", "text/event-stream"])
    return taken in ("application/json", "text/event-stream")


def error_response(status: int, message: str = "", fix: str = "") -> Response:
    """The page, or the JSON, for one error."""
    title, advice = _SAID.get(status, _SAID[500])
    if wants_json():
        return make_response(jsonify(error=message or title, advice=advice, fix=fix), status)
    shown = {"status": status, "title": title, "advice": advice, "message": message, "fix": fix}
    try:
        page = render_template("errors/error.html", **shown, again=_again() if status == 503 else None)
    except KindlingError:  # not even who is signed in can be read
        page = current_app.jinja_env.get_template("errors/plain.html").render(**shown)
    return make_response(page, status)


def _again() -> list[tuple[str, str]] | None:
    """The fields of the form that could not be taken, to be sent once more; None for what must be typed again."""
    fields = list(request.form.items(multi=True))
    if request.method != "POST" or request.files or {name for name, _ in fields} & SECRET:
        return None
    return [(name, value) for name, value in fields if name != CSRF_FIELD]


def _kindling_error(error: KindlingError) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 409)
    if isinstance(error, Unavailable):
        return _unavailable(status, error)
    made = error_response(status, str(error), error.fix)
    if isinstance(error, TooMany):
        made.headers["Retry-After"] = str(error.seconds)
    return made


def _unavailable(status: int, error: Unavailable) -> Response:
    """What is wrong with this machine is told to those who run it; anybody else can only wait."""
    _log.warning("%s %s: %s", request.method, request.endpoint, error)  # no address: it may hold a token
    try:
        account = current_account_or_none()
    except KindlingError:  # not even who is signed in can be read
        account = None
    runs_it = account is not None and account.role == "admin"
    made = error_response(status, *((str(error), error.fix) if runs_it else (error.visitors,)))
    made.headers["Retry-After"] = str(RETRY_SECONDS)
    return made


def _not_from_here(_: NotFromHere) -> Response:
    return error_response(
        400, "The page you sent this from is too old or was not ours. Load it again and repeat what you did."
    )


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if error.response is not None or 300 <= status < 400:
        return make_response(error.get_response())
    made = error_response(status, error.description if status in (413, 421) and error.description else "")
    if status == 503:
        made.headers["Retry-After"] = str(RETRY_SECONDS)
    if error.code == 405 and getattr(error, "valid_methods", None):
        made.headers["Allow"] = ", ".join(error.valid_methods)  # type: ignore[attr-defined]  # only 405 has it
    if getattr(error, "retry_after", None):
        made.headers["Retry-After"] = str(error.retry_after)  # type: ignore[attr-defined]  # only 429 and 503 have it
    return made


def _unexpected(error: Exception) -> Response:
    said = as_sentence(error)
    if said is not None:
        return _kindling_error(said)
    _log.error("%s %s failed", request.method, request.endpoint, exc_info=error)  # no address: it may hold a token
    return error_response(500)
