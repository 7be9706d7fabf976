"""What a small program of Python asks over HTTP: ``urllib.request``, ``http.client``, a connection that is only opened.

An answer has its status and its body; headers, proxies, redirects and TLS that is verified are not here. Errors have
the words of the real ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simkube.clock.clock import TimedOut, within
from simkube.runtime import httptext
from simkube.runtime.applets.fetching import Fetch, exchange
from simkube.runtime.cri import HTTPResponse, NetworkError
from simkube.runtime.process import Process
from simkube.runtime.programs.python_values import Raised

MODULES = ("urllib.request", "urllib.error", "http.client")
METHODS = ("getcode", "read", "close", "request", "getresponse")
FOREVER = 86400.0


@dataclass
class Answer:
    """What ``urlopen`` and ``getresponse`` give."""

    status: int
    body: bytes


@dataclass
class Connection:
    """An ``http.client.HTTPConnection``, or a socket that was only opened."""

    host: str
    port: int
    timeout: float
    answer: Answer | None = field(default=None)


async def _urlopen(process: Process, given: list[Any], named: Mapping[str, Any]) -> Answer:
    """``urlopen(url, data=None, timeout=...)``; HTTPError from 400 on."""
    words = [*given, None, None, None][:3]
    url, data = str(words[0] if given else named.get("url")), named.get("data", words[1])
    if not isinstance(data, bytes | None):
        raise Raised("TypeError: POST data should be bytes, an iterable of bytes, or a file object.")
    fetch = Fetch(url, "GET" if data is None else "POST", body=data or b"", timeout=_seconds(named, words[2]))
    try:
        found = await exchange(process, fetch)
    except httptext.BadURL:
        raise Raised(f"ValueError: unknown url type: {url!r}") from None
    except TimedOut:
        raise Raised("TimeoutError: timed out") from None
    except NetworkError as error:
        raise Raised(f"urllib.error.URLError: <urlopen error {_why(error)}>") from None
    if found.status >= 400:
        reason = httptext.reason(found.status)
        raise Raised(f"urllib.error.HTTPError: HTTP Error {found.status}: {reason}")
    return Answer(found.status, found.body)


async def _connection(process: Process, given: list[Any], named: Mapping[str, Any]) -> Connection:
    """``HTTPConnection(host, port=80, timeout=...)``; the host may carry the port."""
    host, _, after = str(given[0] if given else named.get("host")).partition(":")
    port = named.get("port", given[1] if len(given) > 1 else None) or after or 80
    return Connection(host, _port(port), _seconds(named, given[2] if len(given) > 2 else None))


async def _create_connection(process: Process, given: list[Any], named: Mapping[str, Any]) -> Connection:
    """``create_connection((host, port), timeout=...)``."""
    where = given[0] if given else named.get("address")
    if not isinstance(where, list) or len(where) != 2:
        raise Raised("TypeError: the address must be a pair (host, port)")
    made = Connection(str(where[0]), _port(where[1]), _seconds(named, given[1] if len(given) > 1 else None))
    sandbox = process.container.sandbox
    try:
        opening = sandbox.network.connect(sandbox.ip, made.host, made.port, sandbox.config)
        (await within(process.container.clock, made.timeout, opening)).close()
    except TimedOut:
        raise Raised("TimeoutError: timed out") from None
    except NetworkError as error:
        raise Raised(_named(error)) from None
    return made


FUNCTIONS: Mapping[str, Callable[[Process, list[Any], Mapping[str, Any]], Awaitable[Any]]] = {
    "urllib.request.urlopen": _urlopen,
    "http.client.HTTPConnection": _connection,
    "socket.create_connection": _create_connection,
}


def attribute(of: Answer, name: str) -> Any:
    """``status``, ``code`` and ``reason`` of an answer."""
    if name in ("status", "code", "reason", "msg"):
        return of.status if name in ("status", "code") else httptext.reason(of.status)
    raise Raised(f"AttributeError: 'HTTPResponse' object has no attribute {name!r}")


async def method(process: Process, of: Any, name: str, given: list[Any]) -> Any:
    """What an answer or a connection can be asked for."""
    if isinstance(of, Answer) and name in ("getcode", "read"):
        return of.status if name == "getcode" else of.body
    if isinstance(of, Answer | Connection) and name == "close":
        return None
    if isinstance(of, Connection) and name == "request" and len(given) > 1:
        of.answer = await _ask(process, of, str(given[0]), str(given[1]))
        return None
    if isinstance(of, Connection) and name == "getresponse" and of.answer is not None:
        return of.answer
    raise Raised(f"AttributeError: {type(of).__name__!r} object has no attribute {name!r}")


async def _ask(process: Process, of: Connection, verb: str, path: str) -> Answer:
    try:
        found: HTTPResponse = await exchange(
            process, Fetch(f"http://{of.host}:{of.port}{path}", verb, timeout=of.timeout)
        )
    except (TimedOut, httptext.BadURL):
        raise Raised("TimeoutError: timed out") from None
    except NetworkError as error:
        raise Raised(_named(error)) from None
    return Answer(found.status, found.body)


def _seconds(named: Mapping[str, Any], given: Any) -> float:
    found = named.get("timeout", given)
    return float(found) if isinstance(found, int | float) and found > 0 else FOREVER


def _port(value: Any) -> int:
    if not str(value).isdecimal() or not 0 < int(str(value)[:6]) < 65536:
        raise Raised("OverflowError: port must be 0-65535.")
    return int(value)


def _why(error: NetworkError) -> str:
    words = {
        "refused": "[Errno 111] Connection refused",
        "reset": "[Errno 104] Connection reset by peer",
        "name": "[Errno -2] Name or service not known",
        "timeout": "timed out",
        "no-route": "[Errno 113] No route to host",
    }
    return words.get(error.kind, str(error))


def _named(error: NetworkError) -> str:
    names = {"refused": "ConnectionRefusedError", "reset": "ConnectionResetError", "timeout": "TimeoutError"}
    return f"{names.get(error.kind, 'OSError')}: {_why(error)}"
