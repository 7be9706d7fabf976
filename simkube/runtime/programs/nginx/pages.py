"""nginx's own pages: the words of a status and the page of an error."""

from __future__ import annotations

from simkube.runtime import httptext

_WORDS = {
    302: "Moved Temporarily",
    303: "See Other",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    405: "Not Allowed",
    408: "Request Time-out",
    409: "Conflict",
    410: "Gone",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}


def error_page(status: int, server: str) -> bytes:
    """The page of an error or redirect; b"" for a status that has none. ``server`` is ``nginx`` with its version."""
    words = _WORDS.get(status, httptext.REASONS.get(status))
    if status < 301 or status == 304 or words is None:
        return b""
    title = f"{status} {words}"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        f"<hr><center>{server}</center>\r\n</body>\r\n</html>\r\n"
    ).encode()
