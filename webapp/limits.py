"""How often one may ask: so many requests a minute for each account, and for each address of who is not signed in.

What costs more than a page (clusters, grading, rosters, new accounts) has a limit of its own. A class behind one
address is not held up: who is signed in counts by account. Refuses nothing for good, and keeps nothing that must last:
each process of the site counts for itself, so that reading a page writes no row.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from flask import Flask, request
from werkzeug.exceptions import TooManyRequests

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
}
"""By endpoint, in a minute, and counted by account besides the limit of all changes."""
UNCOUNTED = {"static", "health.alive", "health.ready"}
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
MOST_KEPT = 20_000


class Buckets:
    """Counts by key: so many at once, and as many a minute. What has been quiet for a minute is forgotten."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._counting = threading.Lock()
        self._full_until: dict[str, float] = {}

    def wait(self, key: str, per_minute: int) -> float:
        """Count one; 0, or the seconds to wait when there were too many (it is not counted then)."""
        with self._counting:
            now = self._now()
            filled = max(self._full_until.get(key, 0.0), now)
            wait = filled + 60 / per_minute - now - 60
            if wait > 1e-6:
                return wait
            self._full_until[key] = filled + 60 / per_minute
            if len(self._full_until) > MOST_KEPT:
                self._forget(now)
            return 0.0

    def _forget(self, now: float) -> None:
        kept = sorted((until, key) for key, until in self._full_until.items() if until > now)
        self._full_until = {key: until for until, key in kept[-MOST_KEPT // 2 :]}


def protect(app: Flask, buckets: Buckets | None = None) -> None:
    """Count every request of ``app``; what is beyond its limit is 429."""
    counted = buckets or Buckets()

    @app.before_request
    def count() -> None:
        endpoint = request.endpoint or ""
        if endpoint in UNCOUNTED:
            return
        safe, account = request.method in SAFE_METHODS, current_account_or_none()
        whose = f"account {account.id}" if account else f"address {request.remote_addr}"
        known, visitor = (PAGES, VISITOR_PAGES) if safe else (CHANGES, VISITOR_CHANGES)
        waits = [counted.wait(f"{whose} {safe}", known if account else visitor)]
        if account and endpoint in COSTLY:
            waits.append(counted.wait(f"{whose} {endpoint}", COSTLY[endpoint]))
        if max(waits):
            raise TooManyRequests(retry_after=math.ceil(max(waits)))
