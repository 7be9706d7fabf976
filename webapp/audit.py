"""Who changed what and who was refused what, one line each in the log, for whoever has to find out what happened.

A line is JSON after a word: the route, what its address names, the account, the network address, the status. It refuses
to hold what was typed (passwords, codes), tokens and cookies, and to fill the disk: beyond :data:`REFUSED_PER_MINUTE`
refusals are counted, not written.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable

from flask import Flask, Response, g, request

from webapp.site import current_account_or_none

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
SIGNS_IN = {"account.link"}
"""Routes that change something though they are only looked at."""
REFUSED_PER_MINUTE = 120
LONGEST_NAME = 100
SECRET_PARTS = {"token", "code"}
"""Parts of an address that let somebody in."""
_log = logging.getLogger("kindling.audit")


class Budget:
    """So many lines in a minute; what is beyond is counted and told with the next line that is written."""

    def __init__(self, most: int = REFUSED_PER_MINUTE, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self._now = most, now
        self._counting = threading.Lock()
        self._began, self._written, self._left_out = now(), 0, 0

    def take(self) -> int | None:
        """How many were left out before this line; None when it is left out too."""
        with self._counting:
            if self._now() - self._began >= 60:
                self._began, self._written = self._now(), 0
            if self._written >= self._most:
                self._left_out += 1
                return None
            self._written += 1
            left_out, self._left_out = self._left_out, 0
            return left_out


def protect(app: Flask) -> None:
    """Write down what changes something or is refused, of ``app``."""
    budget = Budget()

    @app.before_request
    def remember_who_asks() -> None:
        if request.method not in SAFE_METHODS:
            g.asked_by = _account()

    @app.after_request
    def write_down(response: Response) -> Response:
        status, changes = response.status_code, request.method not in SAFE_METHODS or request.endpoint in SIGNS_IN
        if status >= 400 and request.endpoint != "static":
            left_out = budget.take()
            if left_out is not None:
                _log.warning("refused %s", _line(status, left_out))
        elif changes:
            _log.info("changed %s", _line(status))
        return response


def _line(status: int, left_out: int = 0) -> str:
    names = {
        key: str(value)[:LONGEST_NAME] for key, value in (request.view_args or {}).items() if key not in SECRET_PARTS
    }
    facts = {
        "method": request.method,
        "route": request.url_rule.rule if request.url_rule else "",
        "names": names,
        "status": status,
        "account": _account() or g.get("asked_by", ""),
        "address": request.remote_addr or "",
    }
    return json.dumps(facts | ({"left_out_before": left_out} if left_out else {}))


def _account() -> str:
    account = current_account_or_none()
    return account.name if account else ""
