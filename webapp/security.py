"""What keeps strangers out of the site: headers, cookies, and which names it answers to.

Refuses a request whose ``Host`` is not this machine's while the site listens on loopback: a page elsewhere could
otherwise have its own name resolve to 127.0.0.1 and read what the browser sends here (DNS rebinding). No page carries
inline script or style, so the content security policy forbids both.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from pathlib import Path

from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface
from werkzeug.exceptions import MisdirectedRequest

from labs.errors import SettingsError
from labs.settings import Settings

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}


def secret_key(settings: Settings) -> str:
    """The key that signs cookies: the setting, or one that is made once and kept (mode 0600) in ``home``."""
    if settings.secret_key:
        return settings.secret_key
    path = settings.home / "secret-key"
    settings.home.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _kept(path)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32))
    return _kept(path)


def protect(app: Flask, settings: Settings) -> None:
    """Add the checks and headers to ``app``."""
    app.session_interface = _CookieSessions()
    loopback = is_loopback(settings.host)

    @app.before_request
    def refuse_other_names() -> None:
        if loopback and host_name(request.host) not in LOOPBACK_NAMES | {settings.host}:
            raise MisdirectedRequest("This site answers only to the names of its own machine.")

    @app.after_request
    def add_headers(response: Response) -> Response:
        headers = response.headers
        headers.setdefault("Content-Security-Policy", POLICY)
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("X-Frame-Options", "DENY")
        headers.setdefault("Referrer-Policy", "same-origin")
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        if request.endpoint != "static":
            headers.setdefault("Cache-Control", "no-store")
        if request.is_secure:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        return response


def is_loopback(host: str) -> bool:
    """Whether a site listening on ``host`` can be reached from this machine only."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def host_name(host: str) -> str:
    """The name in a ``Host`` header, without port and brackets, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _kept(path: Path) -> str:
    key = path.read_text().strip()
    if len(key) < 32:
        raise SettingsError(f"{path} does not hold a key; remove it to have one made", f"rm {path}")
    return key


class _CookieSessions(SecureCookieSessionInterface):
    """The session cookie is marked secure whenever the request came over HTTPS, also behind a proxy that says so."""

    def get_cookie_secure(self, app: Flask) -> bool:
        return bool(app.config.get("SESSION_COOKIE_SECURE")) or request.is_secure
