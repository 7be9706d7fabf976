"""URLs: ``url("https://example.com:80/").getHost()`` (``cel/library/urls.go``), read as Go's ``net/url`` reads them.

A URL is absolute, or an absolute path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import parse_qs, quote

from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library.model import Library, function, method, of_any, of_class
from simkube.apiserver.cel.types import Kind, list_of, map_of

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):(.*)", re.DOTALL)
_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}")
_HOST = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:<>\"-]|[^\x00-\x7f]|%[0-9a-fA-F]{2})*")
_IN_PATHS = "/-_.~$&+,;=:@!'()*[]%"
_LONGEST = 10_000


@dataclass(frozen=True)
class URL:
    """A URL in parts; ``host`` with its port, ``path`` as it was written."""

    kind: ClassVar[Kind] = t.URL
    scheme: str
    host: str
    path: str
    query: str
    text: str

    @property
    def hostname(self) -> str:
        """The host without port and brackets."""
        return self.host[1:].partition("]")[0] if self.host.startswith("[") else self.host.partition(":")[0]

    @property
    def port(self) -> str:
        """The port, or ""."""
        return self.host.removeprefix("[").rpartition("]")[2].rpartition(":")[2] if self._has_port else ""

    @property
    def _has_port(self) -> bool:
        return ":" in self.host.rpartition("]")[2]


def parsed(text: str) -> URL:
    """The parts of a URL; :class:`EvaluationError` in Go's words when it is none."""
    try:
        return _parsed(text)
    except ValueError as error:
        shown = text.replace("\\", "\\\\").replace('"', '\\"')
        detail = f'parse "{shown}": {error}'
        raise EvaluationError(f"URL parse error during conversion from string: {detail}") from None


def _parsed(text: str) -> URL:
    if not text:
        raise ValueError("empty url")
    if len(text) > _LONGEST or any(ord(sign) < 32 or ord(sign) == 127 for sign in text):
        raise ValueError("net/url: invalid control character in URL")
    whole, _, _ = text.partition("#")
    match = _SCHEME.match(whole)
    scheme, rest = (match[1].lower(), match[2]) if match else ("", whole)
    if match is None and whole.startswith(":"):
        raise ValueError("missing protocol scheme")
    rest, _, query = rest.partition("?")
    if not rest.startswith("/"):
        if not scheme:
            raise ValueError("invalid URI for request")
        return URL(scheme, "", "", query, text)
    host, path = "", rest
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, behind = rest[2:].partition("/")
        host, path = _host(authority), slash + behind
    wrong = _ESCAPE.search(path)
    if wrong:
        raise ValueError(f'invalid URL escape "{wrong[0]}"')
    return URL(scheme, host, path, query, text)


def _host(authority: str) -> str:
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        inside, closed, port = host.rpartition("]")
        if not closed:
            raise ValueError("missing ']' in host")
        if not re.fullmatch(r"(:\d*)?", port, re.ASCII):
            raise ValueError(f'invalid port "{port}" after host')
        return f"{inside}]{port}"
    colon = host.rfind(":")
    if colon >= 0 and not re.fullmatch(r":\d*", host[colon:], re.ASCII):
        raise ValueError(f'invalid port "{host[colon:]}" after host')
    match = _HOST.match(host)
    end = match.end() if match else 0
    if end < len(host):
        raise ValueError(f'invalid character "{host[end]}" in host name')
    return host


def _is(text: str) -> bool:
    try:
        parsed(text)
    except EvaluationError:
        return False
    return True


def _query(given: URL) -> dict[str, list[str]]:
    try:
        return parse_qs(given.query, keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        return {}


_U = t.URL

LIBRARY = Library(
    {
        "url": [function(t.STRING, gives=_U)],
        "isURL": [function(t.STRING, gives=t.BOOL)],
        **{
            name: [method(_U, gives=t.STRING)]
            for name in ("getScheme", "getHost", "getHostname", "getPort", "getEscapedPath")
        },
        "getQuery": [method(_U, gives=map_of(t.STRING, list_of(t.STRING)))],
    },
    {
        **of_any({"url": parsed, "isURL": _is}),
        **of_class(
            URL,
            {
                "getScheme": lambda given: given.scheme,
                "getHost": lambda given: given.host,
                "getHostname": lambda given: given.hostname,
                "getPort": lambda given: given.port,
                "getEscapedPath": lambda given: quote(given.path, safe=_IN_PATHS),
                "getQuery": _query,
            },
        ),
    },
)
