"""Whose a request is, told from its cookie alone: for whoever has to share out work before anything asks the records.

A cookie holds nothing but a token, so this process remembers whose the tokens were that it saw proven. It lets nobody
in: a token that is over is forgotten when it is shown, and until then its requests count as its account's.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from werkzeug.http import parse_cookie

from labs.accounts.tokens import digest
from webapp import cookies

MOST = 20_000


class Owners:
    """The accounts of the tokens that were proven last, ``most`` of them."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._changing = most, threading.Lock()
        self._accounts: OrderedDict[str, int] = OrderedDict()

    def note(self, token: str, account_id: int | None) -> None:
        """This token was proven to be this account's; None: it is nobody's (any more)."""
        key = digest(token)
        with self._changing:
            self._accounts.pop(key, None)
            if account_id is not None:
                self._accounts[key] = account_id
            while len(self._accounts) > self._most:
                self._accounts.popitem(last=False)

    def of_cookies(self, header: str) -> str:
        """The id of the account that a ``Cookie`` header is of, as text; "" where that is not known."""
        sent = parse_cookie(header)
        token = sent.get(cookies.name(cookies.SIGN_IN, secure=True)) or sent.get(cookies.SIGN_IN, "")
        found = self._accounts.get(digest(token)) if token else None
        return "" if found is None else str(found)
