"""How often one may ask: so many requests a minute for each account, and for each address of who is not signed in.

What costs more than a page (clusters, grading, rosters, new accounts) has a limit of its own. A class behind one
address is not held up: who is signed in counts by account. Refuses nothing for good: after the minute it goes on.
"""

from __future__ import annotations

from flask import Flask, request
from flask_limiter.util import get_remote_address
from flask_login import current_user
from limits import RateLimitItem, parse
from werkzeug.exceptions import TooManyRequests

from webapp.account.signin import limiter

PAGES, CHANGES = "1200 per minute", "120 per minute"
VISITOR_PAGES, VISITOR_CHANGES = "3000 per minute", "600 per minute"
COSTLY = {
    "lab.start": "20 per minute",
    "lab.reset": "20 per minute",
    "lab.check": "30 per minute",
    "roster.read": "20 per minute",
    "teach.create": "30 per hour",
    "teach.link": "300 per hour",
    "admin.create": "300 per hour",
    "admin.link": "300 per hour",
}
"""By endpoint, and counted by account besides the limits of all changes."""
UNCOUNTED = {"static", "health.alive", "health.ready"}
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def protect(app: Flask) -> None:
    """Count every request of ``app``; what is beyond its limit is 429, before anything else looks at it."""
    parsed = {text: parse(text) for text in (PAGES, CHANGES, VISITOR_PAGES, VISITOR_CHANGES, *COSTLY.values())}

    @app.before_request
    def count() -> None:
        endpoint = request.endpoint or ""
        if endpoint in UNCOUNTED:
            return
        safe, known = request.method in SAFE_METHODS, bool(current_user.is_authenticated)
        whose = f"account {current_user.get_id()}" if known else f"address {get_remote_address()}"
        if known:
            _hit(parsed[PAGES if safe else CHANGES], "all", str(safe), whose)
        else:
            _hit(parsed[VISITOR_PAGES if safe else VISITOR_CHANGES], "all", str(safe), whose)
        if known and endpoint in COSTLY and not safe:
            _hit(parsed[COSTLY[endpoint]], endpoint, whose)


def _hit(limit: RateLimitItem, *what: str) -> None:
    if not limiter.limiter.hit(limit, *what):
        raise TooManyRequests(retry_after=limit.get_expiry())
