"""Cookies: how they are named and marked, and the key that signs them.

Over HTTPS every cookie has the prefix ``__Host-``: the browser then takes it from this very host only, for every path,
and never over HTTP, so that no neighbour below the same domain can plant one. It refuses a kept key that is no key.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface
from werkzeug.wrappers import Response

from labs.errors import SettingsError
from labs.settings import Settings

SESSION, SIGN_IN, DEVICE, THEME = "kindling", "kindling-sign-in", "kindling-device", "theme"
THEME_SECONDS = 365 * 86400


def name(plain: str, *, secure: bool) -> str:
    """What a cookie is called."""
    return f"__Host-{plain}" if secure else plain


def over_https(app: Flask) -> bool:
    """Whether whoever asks came over HTTPS: the request says so, or the site's public address leaves nothing else."""
    return bool(app.config["SESSION_COOKIE_SECURE"]) or request.is_secure


class Sessions(SecureCookieSessionInterface):
    """Flask's session in a cookie, named and marked by how the request came, signed with HMAC-SHA-256."""

    digest_method = staticmethod(hashlib.sha256)

    def get_cookie_name(self, app: Flask) -> str:
        return name(SESSION, secure=over_https(app))

    def get_cookie_secure(self, app: Flask) -> bool:
        return over_https(app)


def theme(app: Flask) -> str:
    """The chosen theme: light, dark or auto; anything else in the cookie is auto."""
    chosen = request.cookies.get(name(THEME, secure=over_https(app)))
    return chosen if chosen in ("light", "dark") else "auto"


def keep_theme(app: Flask, response: Response, chosen: str) -> None:
    """Set the cookie of the theme. Script may read and write it: it is nothing to hide."""
    secure = over_https(app)
    response.set_cookie(
        name(THEME, secure=secure), chosen, max_age=THEME_SECONDS, samesite="Lax", secure=secure, path="/"
    )


def keep_sign_in(app: Flask, response: Response, token: str, days: float) -> None:
    """Let the browser show this token from now on."""
    keep_secret(app, response, SIGN_IN, token, int(days * 86400))


def forget_sign_in(app: Flask, response: Response) -> None:
    """Let the browser show no token."""
    secure = over_https(app)
    response.delete_cookie(name(SIGN_IN, secure=secure), secure=secure, httponly=True, samesite="Lax", path="/")


def keep_secret(app: Flask, response: Response, plain: str, value: str, seconds: int) -> None:
    """Set a cookie that no script and no other site gets at."""
    secure = over_https(app)
    options = {"max_age": seconds, "secure": secure, "httponly": True, "samesite": "Lax", "path": "/"}
    response.set_cookie(name(plain, secure=secure), value, **options)  # type: ignore[arg-type]  # each its own type


def secret_key(settings: Settings) -> str:
    """The key that signs cookies: the setting, or one that is made once and kept (mode 0600) in ``home``."""
    if settings.secret_key:
        return settings.secret_key
    path = settings.home / "secret-key"
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _make(path)
    return _kept(path)


def _make(path: Path) -> None:
    """A new key, unless another process was first: it has its name only when it is whole."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".secret-key-")  # of mode 0600
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32))
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    os.unlink(draft)


def _kept(path: Path) -> str:
    key = path.read_text().strip()
    if len(key) < 32:
        raise SettingsError(f"{path} does not hold a key; remove it to have one made", f"rm {path}")
    return key
