"""The requests of ``kindling/web``'s probe mode: one with a deadline, and a record of what became of it, in its words.

A record is ``{"t": cluster time at sending (s since 1970), "ms": duration, "status": 0 when no answer, "error": word or
"", "body": str, "digest": str}``; ``body`` is the beginning and the end of a long one, ``digest`` is of all of it. Of
a kept connection ``t`` and ``ms`` count from when the request was due, and ``"again": true`` when it was sent twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from simkube.clock.clock import TimedOut, within
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.httptext import BadURL, parse_url
from simkube.runtime.network.network import Connection
from simkube.runtime.process import Process

BODY_CHARACTERS = 200
MOST_CHARACTERS = 64 << 10
BODY_BYTES = 4 << 20
GAP = " ... "
CROSSING_SECONDS = 0.25
"""How long a request and the end of its connection can be on their way at the same time."""

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

    def __init__(
        self,
        url: str,
        method: str = "GET",
        headers: Mapping[str, Any] | None = None,
        body: str = "",
        *,
        keep: bool = False,
    ) -> None:
        try:
            scheme, self.host, self.port, path = parse_url(url)
        except BadURL as error:
            raise BadRequest(str(error)) from None
        lines = {str(key): str(value) for key, value in (headers or {}).items()}
        broken = any(c in part for pair in lines.items() for part in pair for c in "\r\n")
        if scheme != "http" or "://" not in url or broken or not method.isalpha() or any(ord(c) <= 32 for c in url):
            raise BadRequest(url)
        host = self.host if self.port == 80 else f"{self.host}:{self.port}"
        given = {"host": host, "user-agent": "kindling-probe", "connection": "keep-alive" if keep else "close"}
        given.update({key.lower(): value for key, value in lines.items()})
        self.request = HTTPRequest(method, path, given, body.encode())


async def send(process: Process, target: Target, timeout: float, characters: int = BODY_CHARACTERS) -> Record:
    """Send one request on a connection of its own; never raises."""
    sandbox = process.container.sandbox

    def exchange() -> Coroutine[Any, Any, HTTPResponse]:
        return sandbox.network.request(sandbox.ip, target.host, target.port, target.request)

    return await _recorded(process, exchange, process.container.clock.now(), timeout, characters)


async def _recorded(
    process: Process,
    exchange: Callable[[], Coroutine[Any, Any, HTTPResponse]],
    due: float,
    timeout: float,
    characters: int = BODY_CHARACTERS,
) -> Record:
    """What becomes of ``exchange``, which was due at ``due`` (cluster time)."""
    clock = process.container.clock
    left = due + timeout - clock.now()
    error = ""
    response = HTTPResponse(0)
    try:
        if left <= 0:
            raise TimedOut
        response = await within(clock, left, exchange())
    except TimedOut:
        error = "timeout"
    except NetworkError as problem:
        error = word(problem)
    ms = round((clock.now() - due) * 1000, 1)
    content = response.body[:BODY_BYTES]
    digest = "" if error else hashlib.sha256(content).hexdigest()[:16]
    said = {"body": _excerpt(content, characters), "digest": digest}
    return {"t": round(due, 3), "ms": ms, "status": response.status, "error": error, **said}


def _excerpt(content: bytes, characters: int) -> str:
    text = content.decode("utf-8", "replace")
    half = (characters - len(GAP)) // 2
    return text if len(text) <= characters else text[:half] + GAP + text[-half:]


def word(problem: NetworkError) -> str:
    """The probe's word for what went wrong."""
    temporary = problem.kind == "name" and "Temporary" in str(problem)
    return "dns unavailable" if temporary else _WORDS[problem.kind]


async def request(
    process: Process,
    url: str,
    method: str,
    timeout: float,
    headers: Mapping[str, Any],
    body: str,
    characters: int = BODY_CHARACTERS,
) -> Record:
    """As :func:`send`, with ``bad url`` for what cannot be sent."""
    try:
        target = Target(url, method, headers, body)
    except BadRequest:
        return unsendable(process)
    return await send(process, target, timeout, characters)


def unsendable(process: Process) -> Record:
    """The record of a request to what is no URL."""
    when = round(process.container.clock.now(), 3)
    return {"t": when, "ms": 0.0, "status": 0, "error": "bad url", "body": "", "digest": ""}


class Kept:
    """Requests to one target on one connection that is kept open, as HTTP clients keep theirs.

    It is opened when first needed, and again when it has ended. A request that meets the end of its connection on the
    way (the connection was used before, and that within :data:`CROSSING_SECONDS`) is sent once more on a new one, as
    every client does; ``again`` is in its record. One that the server had for longer has failed.
    """

    def __init__(self, process: Process, target: Target) -> None:
        self._process, self._target = process, target
        self._connection: Connection | None = None

    async def request(self, due: float, timeout: float) -> Record:
        """One request, which was due at ``due`` (cluster time): time counts from there. Never raises."""
        again: list[bool] = []
        record = await _recorded(self._process, lambda: self._send(again), due, timeout)
        if record["error"]:
            self.close()
        if again:
            record["again"] = True
        return record

    def close(self) -> None:
        """Close the connection, if one is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _send(self, again: list[bool]) -> HTTPResponse:
        if self._connection is not None and self._connection.ended:
            self.close()
        clock = self._process.container.clock
        used, sent = self._connection is not None, clock.now()
        try:
            return await self._once()
        except NetworkError as problem:
            if problem.kind != "reset" or not used or clock.now() - sent > CROSSING_SECONDS:
                raise
        self.close()
        again.append(True)
        return await self._once()

    async def _once(self) -> HTTPResponse:
        target, sandbox = self._target, self._process.container.sandbox
        if self._connection is None:
            self._connection = await sandbox.network.connect(sandbox.ip, target.host, target.port)
        response = await self._connection.exchange(target.request)
        if response.headers.get("connection", "").lower() == "close":
            self.close()
        return response
