"""``proxy_pass``: a request passed on over the simulated network, and what becomes of it when nobody answers.

Source: ``src/http/modules/ngx_http_proxy_module.c``.
"""

from __future__ import annotations

from dataclasses import replace

from simkube.clock.clock import TimedOut, within
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.network.network import Connection
from simkube.runtime.process import Process
from simkube.runtime.programs.nginx import logs
from simkube.runtime.programs.nginx.configuration import Location, Lookup, Upstream
from simkube.runtime.programs.nginx.syntax import Problem
from simkube.runtime.programs.nginx.variables import Exchange, expand

_HIDDEN = ("server", "date", "connection", "transfer-encoding", "keep-alive")
_HOP = ("connection", "keep-alive", "transfer-encoding", "te", "upgrade", "expect")
_ERRNO = {"refused": "111: Connection refused", "no-route": "113: No route to host"}


async def look_up(process: Process, lookup: Lookup) -> None:
    """Find the addresses of an upstream once, as nginx does at start; :class:`Problem`."""
    upstream = lookup.location.upstream
    assert upstream is not None  # what is looked up passes on
    sandbox = process.container.sandbox
    try:
        addresses = await sandbox.network.resolve(sandbox.ip, upstream.host, sandbox.config)
    except NetworkError:
        raise Problem(f'host not found in upstream "{upstream.shown}" in {lookup.place}') from None
    lookup.location.upstream = replace(upstream, addresses=tuple(addresses))


async def pass_on(process: Process, location: Location, exchange: Exchange, turn: int) -> HTTPResponse | int:
    """The upstream's answer, or the status nginx answers instead; ``turn`` says which address comes first."""
    upstream = location.upstream
    assert upstream is not None  # the caller looked
    exchange.proxy_host = upstream.shown
    path = _path(location, upstream, exchange)
    request = HTTPRequest(exchange.request.method, path, _headers(location, exchange), exchange.request.body)
    status = 502
    for step in range(len(upstream.addresses)):
        address = upstream.addresses[(turn + step) % len(upstream.addresses)]
        answer = await _try(process, location, exchange, address, request)
        if isinstance(answer, HTTPResponse):
            return _shown(answer, location, upstream)
        status = answer
        if exchange.request.method not in ("GET", "HEAD", "PUT", "DELETE"):
            break
    return status


async def _try(
    process: Process, location: Location, exchange: Exchange, address: str, request: HTTPRequest
) -> HTTPResponse | int:
    upstream, settings = location.upstream, location.settings
    assert upstream is not None  # the caller looked
    sandbox, clock = process.container.sandbox, process.container.clock
    connection = None
    try:
        connecting = sandbox.network.connect(sandbox.ip, address, upstream.port)
        connection = await within(clock, settings.proxy_connect, connecting)
        return await within(clock, settings.proxy_read, connection.exchange(request))
    except TimedOut:
        text, status = "upstream timed out (110: Connection timed out)", 504
    except NetworkError as error:
        text, status = _words(error, connection), 504 if error.kind == "timeout" else 502
    finally:
        if connection is not None:
            connection.close()
    doing = "connecting to upstream" if connection is None else "reading response header from upstream"
    where = f"http://{address}:{upstream.port}{request.path}"
    await logs.complain(process, settings, exchange, f"{text} while {doing}", where)
    return status


def _words(error: NetworkError, connection: Connection | None) -> str:
    if error.kind == "timeout":
        return "upstream timed out (110: Connection timed out)"
    if connection is not None:
        return "recv() failed (104: Connection reset by peer)"
    return f"connect() failed ({_ERRNO.get(error.kind, '111: Connection refused')})"


def _path(location: Location, upstream: Upstream, exchange: Exchange) -> str:
    if upstream.uri is None and not exchange.redirected:
        return exchange.request.path
    path = exchange.uri if upstream.uri is None else upstream.uri + exchange.uri[len(location.path) :]
    return f"{path}?{exchange.query}" if exchange.query else path


def _headers(location: Location, exchange: Exchange) -> dict[str, str]:
    headers = {name: value for name, value in exchange.request.headers.items() if name not in _HOP}
    headers |= {"host": exchange.proxy_host, "connection": "close"}
    for name, value in location.settings.proxy_headers:
        headers[name] = expand(value, exchange)
    return {name: value for name, value in headers.items() if value}


def _shown(answer: HTTPResponse, location: Location, upstream: Upstream) -> HTTPResponse:
    """Without the upstream's own name and date; redirects to itself lead here again (``proxy_redirect default``)."""
    headers = {name: value for name, value in answer.headers.items() if name not in _HIDDEN}
    own = f"http://{upstream.shown}{upstream.uri or '/'}"
    if upstream.uri is not None and headers.get("location", "").startswith(own):
        headers["location"] = location.path + headers["location"].removeprefix(own)
    return HTTPResponse(answer.status, headers, answer.body)
