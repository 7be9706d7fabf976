"""The requests of ``kindling/web``'s probe mode: one with a deadline, and a record of what became of it, in its words.

A record is ``{"t": s since 1970 by the cluster's clock at sending, "ms": duration, "status": 0 when no answer, "error":
word or "", "body": str}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simkube.clock.clock import TimedOut, within
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.httptext import BadURL, parse_url
from simkube.runtime.process import Process

BODY_CHARACTERS = 200
BODY_BYTES = 64 << 10

Record = dict[str, Any]

_WORDS = {
    "name": "name not found",
    "refused": "refused",
    "timeout": "timeout",
    "no-route": "unreachable",
    "reset": "reset",
}


class BadRequest(ValueError):
    """A URL or header that cannot be sent."""


class Target:
    """A parsed URL with the request to send there, made once for many."""

    __slots__ = ("host", "port", "request")

    def __init__(self, url: str, method: str = "GET", headers: Mapping[str, Any] | None = None, body: str = "") -> None:
        try:
            scheme, self.host, self.port, path = parse_url(url)
        except BadURL as error:
            raise BadRequest(str(error)) from None
        lines = {str(key): str(value) for key, value in (headers or {}).items()}
        broken = any(c in part for pair in lines.items() for part in pair for c in "\r\n")
        if scheme != "http" or "://" not in url or broken or not method.isalpha() or any(ord(c) <= 32 for c in url):
            raise BadRequest(url)
        host = self.host if self.port == 80 else f"{self.host}:{self.port}"
        given = {"host": host, "user-agent": "kindling-probe", "connection": "close"}
        given.update({key.lower(): value for key, value in lines.items()})
        self.request = HTTPRequest(method, path, given, body.encode())


async def send(process: Process, target: Target, timeout: float) -> Record:
    """Send one request on a connection of its own; never raises."""
    clock = process.container.clock
    network = process.container.sandbox.network
    began = clock.now()
    error = ""
    response = HTTPResponse(0)
    try:
        source = process.container.sandbox.ip
        response = await within(clock, timeout, network.request(source, target.host, target.port, target.request))
    except TimedOut:
        error = "timeout"
    except NetworkError as problem:
        error = "dns unavailable" if problem.kind == "name" and "Temporary" in str(problem) else _WORDS[problem.kind]
    ms = round((clock.now() - began) * 1000, 1)
    text = response.body[:BODY_BYTES].decode("utf-8", "replace")[:BODY_CHARACTERS]
    return {"t": round(began, 3), "ms": ms, "status": response.status, "error": error, "body": text}


async def request(
    process: Process, url: str, method: str, timeout: float, headers: Mapping[str, Any], body: str
) -> Record:
    """As :func:`send`, with ``bad url`` for what cannot be sent."""
    try:
        target = Target(url, method, headers, body)
    except BadRequest:
        when = round(process.container.clock.now(), 3)
        return {"t": when, "ms": 0.0, "status": 0, "error": "bad url", "body": ""}
    return await send(process, target, timeout)
