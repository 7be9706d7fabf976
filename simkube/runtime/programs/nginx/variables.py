"""The variables of nginx that are simulated, and texts that hold them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(slots=True)
class Exchange:
    """One request as it goes through nginx: ``uri`` and ``query`` change when it is redirected inside."""

    request: HTTPRequest
    peer: str
    uri: str
    query: str
    port: int
    secure: bool
    address: str
    hostname: str
    version: str
    now: float
    method: str = ""
    """The method now; error pages are got by GET."""
    server_name: str = ""
    root: str = ""
    proxy_host: str = ""
    status: int = 0
    sent: int = 0
    redirected: bool = False

    def header(self, name: str) -> str:
        """A header of the request, "" when there is none."""
        return self.request.headers.get(name, "")

    @property
    def host(self) -> str:
        """The host that was asked for, without its port; the server's name when none was given."""
        return self.header("host").partition(":")[0].lower() or self.server_name

    @property
    def line(self) -> str:
        """The request line."""
        return f"{self.request.method} {self.request.path} HTTP/1.1"


def _forwarded(exchange: Exchange) -> str:
    before = exchange.header("x-forwarded-for")
    return f"{before}, {exchange.peer}" if before else exchange.peer


VARIABLES: dict[str, Callable[[Exchange], str]] = {
    "args": lambda e: e.query,
    "body_bytes_sent": lambda e: str(e.sent),
    "content_length": lambda e: e.header("content-length"),
    "content_type": lambda e: e.header("content-type"),
    "document_root": lambda e: e.root,
    "document_uri": lambda e: e.uri,
    "host": lambda e: e.host,
    "hostname": lambda e: e.hostname,
    "is_args": lambda e: "?" if e.query else "",
    "msec": lambda e: f"{e.now:.3f}",
    "nginx_version": lambda e: e.version,
    "proxy_add_x_forwarded_for": _forwarded,
    "proxy_host": lambda e: e.proxy_host,
    "query_string": lambda e: e.query,
    "remote_addr": lambda e: e.peer,
    "remote_user": lambda e: "",
    "request": lambda e: e.line,
    "request_filename": lambda e: f"{e.root}{e.uri}",
    "request_method": lambda e: e.request.method,
    "request_uri": lambda e: e.request.path,
    "scheme": lambda e: "https" if e.secure else "http",
    "server_addr": lambda e: e.address,
    "server_name": lambda e: e.server_name,
    "server_port": lambda e: str(e.port),
    "server_protocol": lambda e: "HTTP/1.1",
    "status": lambda e: str(e.status),
    "time_iso8601": lambda e: datetime.fromtimestamp(e.now, UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00"),
    "time_local": lambda e: httptext.log_date(e.now),
    "uri": lambda e: e.uri,
}


def unknown(text: str) -> str | None:
    """The first variable of a text that is not simulated."""
    for found in _VARIABLE.finditer(text):
        name = found[1] or found[2]
        if name not in VARIABLES and not name.startswith(("http_", "arg_")):
            return name
    return None


def holds_variables(text: str) -> bool:
    """Whether a text has any."""
    return _VARIABLE.search(text) is not None


def expand(text: str, exchange: Exchange) -> str:
    """A text with its variables replaced."""
    return _VARIABLE.sub(lambda found: _value(found[1] or found[2], exchange), text) if "$" in text else text


def log_line(text: str, exchange: Exchange) -> str:
    """As :func:`expand` for access logs: ``-`` for what is empty, and nothing that could forge a line."""
    return _VARIABLE.sub(lambda found: plain(_value(found[1] or found[2], exchange), quotes=True) or "-", text)


def plain(text: str, *, quotes: bool = False) -> str:
    """Without control characters, and without ``quotes``: each as ``\\xNN``."""
    return "".join(
        letter if letter.isprintable() and not (quotes and letter == '"') else f"\\x{ord(letter):02X}"
        for letter in text
    )


def _value(name: str, exchange: Exchange) -> str:
    if name.startswith("http_"):
        return exchange.header(name[5:].replace("_", "-"))
    if name.startswith("arg_"):
        return httptext.split_path(f"/?{exchange.query}")[1].get(name[4:], "")
    return VARIABLES[name](exchange)
