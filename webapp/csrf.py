"""That what changes something was sent from a page of this site: a token that only our pages know goes with it.

The token is in the visitor's signed cookie, which no script reads, and in the pages, each time behind another random
pad, so that its length in a compressed answer tells nothing. Signing in begins a new one. Refuses by 400.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets

from flask import Flask, request, session
from werkzeug.exceptions import BadRequest

BYTES = 32
FIELD, HEADER = "csrf_token", "X-CSRFToken"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_KEY = "csrf"


class NotFromHere(BadRequest):
    """No token, or not this visitor's."""


def token() -> str:
    """For a form of the page that is being made."""
    kept = session.get(_KEY)
    if kept is None:
        kept = session[_KEY] = secrets.token_hex(BYTES)
    pad = secrets.token_bytes(BYTES)
    return base64.urlsafe_b64encode(pad + _xor(pad, bytes.fromhex(kept))).decode()


def protect(app: Flask) -> None:
    """Ask for the token with everything that changes something, and give templates ``csrf_token()``."""
    app.add_template_global(token, "csrf_token")

    @app.before_request
    def check() -> None:
        if request.method in SAFE_METHODS or request.url_rule is None:
            return
        if not _valid(request.headers.get(HEADER) or request.form.get(FIELD, "")):
            raise NotFromHere


def _valid(given: str) -> bool:
    try:
        raw, kept = base64.b64decode(given, b"-_", validate=True), bytes.fromhex(session.get(_KEY, ""))
    except (ValueError, TypeError, binascii.Error):
        return False
    return len(raw) == 2 * BYTES and hmac.compare_digest(_xor(raw[:BYTES], raw[BYTES:]), kept)


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
