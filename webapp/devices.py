"""Browsers in which somebody signed in before: recognised by a signed cookie, which opens nothing by itself.

Whoever guesses somebody's password from elsewhere uses up an allowance of their own and not that of the browser in
which its owner is at home.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from flask import Flask, current_app, request
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.wrappers import Response

from webapp import cookies

MOST_ACCOUNTS = 10
"""Of one browser, as in a computer room; the one that signed in first is forgotten first."""
DAYS = 365


@dataclass(frozen=True)
class Device:
    """A browser: a name that nobody else has, and the ids of the accounts that signed in."""

    name: str = ""
    accounts: tuple[int, ...] = ()


def this_device() -> Device:
    """The browser that asks; one without a name when it is new or shows what we did not sign."""
    shown = request.cookies.get(cookies.name(cookies.DEVICE, secure=cookies.over_https(current_app)), "")
    try:
        name, accounts = _signer(current_app).loads(shown[:1000])
        return Device(str(name), tuple(int(each) for each in accounts))
    except (BadSignature, TypeError, ValueError):
        return Device()


def remember(app: Flask, response: Response, account_id: int) -> None:
    """Note in the cookie that this account signed in here."""
    device = this_device()
    others = [each for each in device.accounts if each != account_id]
    accounts = [*others, account_id][-MOST_ACCOUNTS:]
    value = _signer(app).dumps([device.name or secrets.token_urlsafe(12), accounts])
    text = value if isinstance(value, str) else value.decode()
    cookies.keep_secret(app, response, cookies.DEVICE, text, DAYS * 86400)


def _signer(app: Flask) -> URLSafeSerializer:
    return URLSafeSerializer(str(app.secret_key), salt="kindling-device")
