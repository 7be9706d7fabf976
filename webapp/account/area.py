"""The blueprint that the modules of this area share, and what they have in common."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, request, url_for

from labs.accounts import Caller
from webapp.devices import this_device

blueprint = Blueprint("account", __name__)


def caller() -> Caller:
    """Whose limits an attempt to get in counts against."""
    device = this_device()
    return Caller(request.remote_addr, device.name, device.accounts)


def safe_next(target: str | None) -> str:
    """``target`` when it is a path of this site, else the start page."""
    if target and target.startswith("/") and not target.startswith(("//", "/\\")):
        parts = urlsplit(target)
        if not parts.scheme and not parts.netloc and "\\" not in target:
            return target
    return url_for("lessons.home")
