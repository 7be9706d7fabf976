"""How often one may ask: so many requests a minute for each account, and for each address of who is not signed in.

What costs more than a page (clusters, grading, rosters, new accounts) has a limit of its own. A class behind one
address is not held up: who is signed in counts by account. Refuses nothing for good: after the minute it goes on.
"""

from __future__ import annotations

from flask import Flask, request
from werkzeug.exceptions import TooManyRequests

from webapp.counters import Counters
from webapp.site import current_account_or_none

PAGES, CHANGES = 1200, 120
VISITOR_PAGES, VISITOR_CHANGES = 3000, 600
COSTLY = {
    "lab.start": 20,
    "lab.reset": 20,
    "lab.check": 30,
    "roster.read": 20,
    "teach.create": 10,
    "teach.link": 60,
    "admin.create": 60,
    "admin.link": 60,
    "teach.reset": 60,
    "admin.reset": 60,
    "leaving.export": 4,
    "removal.export": 20,
}
"""By endpoint, in a minute, and counted by account besides the limit of all changes."""
UNCOUNTED = {"static", "health.alive", "health.ready"}
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
MINUTE = 60.0


def protect(app: Flask, counters: Counters) -> None:
    """Count every request of ``app``; what is beyond its limit is 429."""

    def over(what: str, most: int) -> bool:
        return counters.add(what, MINUTE) > most

    @app.before_request
    def count() -> None:
        endpoint = request.endpoint or ""
        if endpoint in UNCOUNTED:
            return
        safe, account = request.method in SAFE_METHODS, current_account_or_none()
        whose = f"account {account.id}" if account else f"address {request.remote_addr}"
        known, visitor = (PAGES, VISITOR_PAGES) if safe else (CHANGES, VISITOR_CHANGES)
        if over(f"{whose} {safe}", known if account else visitor) or (
            account and endpoint in COSTLY and over(f"{whose} {endpoint}", COSTLY[endpoint])
        ):
            raise TooManyRequests(retry_after=int(MINUTE))
