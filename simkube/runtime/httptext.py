"""Small helpers for programs that serve or send HTTP on the simulated network."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit

from simkube.runtime.cri import HTTPResponse

REASONS = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    206: "Partial Content",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}

_TYPES = {
    "html": "text/html",
    "htm": "text/html",
    "txt": "text/plain",
    "css": "text/css",
    "js": "application/javascript",
    "json": "application/json",
    "png": "image/png",
    "jpg": "image/jpeg",
    "svg": "image/svg+xml",
    "xml": "text/xml",
}


def reason(status: int) -> str:
    """The phrase of a status code."""
    return REASONS.get(status, "Unknown")


def content_type(path: str, otherwise: str = "application/octet-stream") -> str:
    """The media type a server gives a file by its name."""
    return _TYPES.get(path.rpartition(".")[2].lower(), otherwise)


def text(status: int, body: str | bytes, media: str = "text/plain; charset=utf-8") -> HTTPResponse:
    """An answer with a body."""
    data = body.encode() if isinstance(body, str) else body
    return HTTPResponse(status, {"content-type": media, "content-length": str(len(data))}, data)


def split_path(target: str) -> tuple[str, dict[str, str]]:
    """The decoded path of a request target and its query (the last value of each name)."""
    parts = urlsplit(target)
    query = {
        key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True, max_num_fields=100).items()
    }
    return unquote(parts.path) or "/", query


def http_date(seconds: float) -> str:
    """A time as HTTP writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def log_date(seconds: float) -> str:
    """A time as access logs write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")


class BadURL(ValueError):
    """Not a URL that a client here can ask."""


def parse_url(url: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and request target of a URL; the scheme is http when missing. :class:`BadURL`."""
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadURL(str(error)) from None
    if not parts.hostname:
        raise BadURL(f"no host in {url}")
    path = parts.path or "/"
    target = f"{path}?{parts.query}" if parts.query else path
    return parts.scheme, parts.hostname, port if port is not None else (443 if parts.scheme == "https" else 80), target
