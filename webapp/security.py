"""What keeps strangers out of the site: which requests are taken, and what every answer forbids the browser.

Refuses a request whose ``Host`` is not this site's: a page elsewhere could otherwise have its own name resolve to this
machine and read what the browser sends here (DNS rebinding), and a link made of the header would lead away. Refuses
what changes something when it comes from another site's page or is no form. No page carries inline script or style, so
the content security policy forbids both; what is not a page may not even be shown as one.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest, Forbidden, MisdirectedRequest, UnsupportedMediaType
from werkzeug.routing import IntegerConverter, Map

from labs.settings import LOOPBACK_NAMES, Settings, must_be_named
from webapp.cookies import Sessions, over_https

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
        "object-src 'none'",
    ]
)
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; sandbox"
"""For what is no page: opened by itself it runs nothing and loads nothing."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HSTS = "max-age=31536000"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
FORMS = {"", "application/x-www-form-urlencoded", "multipart/form-data"}


class Identifier(IntegerConverter):
    """A row's number in an address: what no database could hold is no address of ours."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, min=1, max=2**31 - 1)


def protect(app: Flask, settings: Settings) -> None:
    """Add the checks and headers to ``app``, before its routes are."""
    app.url_map.converters["int"] = Identifier
    must_be_named(settings)
    app.session_interface = Sessions()
    names = site_names(settings)

    @app.before_request
    def refuse_other_names() -> None:
        if host_name(request.headers.get("Host", "")) not in names:  # without one, request.host is made up
            raise MisdirectedRequest("This site answers only to its own name.")

    @app.before_request
    def refuse_what_no_page_of_ours_sends() -> None:
        if request.method not in SAFE_METHODS:
            _same_site()
            _form()
        _characters()

    @app.after_request
    def add_headers(response: Response) -> Response:
        headers = response.headers
        headers.setdefault("Content-Security-Policy", POLICY if response.mimetype == "text/html" else DATA_POLICY)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if request.endpoint != "static":
            headers.setdefault("Cache-Control", "no-store")
        if over_https(app):
            headers.setdefault("Strict-Transport-Security", HSTS)
        return response


def data_headers(*, secure: bool) -> dict[str, str]:
    """What an answer says that is no page and that no view made; ``secure`` when it was asked for over HTTPS."""
    made = {"Content-Security-Policy": DATA_POLICY, **HEADERS, "Cache-Control": "no-store"}
    return made | {"Strict-Transport-Security": HSTS} if secure else made


def site_names(settings: Settings) -> set[str]:
    """The host names that this site answers to: its public one, and those of its own machine."""
    return {*LOOPBACK_NAMES, settings.host, host_name(urlsplit(settings.public_url).netloc)} - {""}


def host_name(host: str) -> str:
    """The name in a ``Host`` header, without port and brackets, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _same_site() -> None:
    """The browser's own word on where a request comes from; the token of the form is asked for besides."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None and site not in ("same-origin", "none"):
        raise Forbidden("This was sent from a page of another site.")
    if origin is not None and host_name(urlsplit(origin).netloc) != host_name(request.host):
        raise Forbidden("This was sent from a page of another site.")


def _form() -> None:
    if request.mimetype not in FORMS:
        raise UnsupportedMediaType


def _characters() -> None:
    """The character NUL is in no text that anybody types, and no database and no file name takes it."""
    texts = [request.path, *(text for pair in request.values.items(multi=True) for text in pair)]
    if any("\0" in text for text in texts):
        raise BadRequest
