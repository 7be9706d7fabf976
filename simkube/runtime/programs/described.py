"""A server that is data: what it needs, says, listens on and answers is in ``behaviour`` of its image.

=============  =========================================================================================================
``requires``   ``[{any: [VARIABLE, ...], says:, code: 1}, {file: PATH, says:}]``: without each of which it ends
``logs``       lines at its start (``{err: text}`` for standard error)
``starts``     seconds until it listens
``ports``      ``[{port:, env:, flag:, tls:, grpc:, headers:, routes:, otherwise:, access_log:, needs:}]``
``ready``      lines once it listens
``every``      ``{seconds:, says:}``: a line again and again
``ends``       the code with which it ends by itself
``stop``       ``{code: 0, says:}``: how it ends at SIGTERM
``says_ok``    ``{TOOL: text}``: what tools beside it say, which always succeed (program ``said-ok``)
=============  =========================================================================================================

A port may need another server (``needs: {at: HOST[:PORT], port:, otherwise: ROUTE}``): the route is answered while that
does not listen. A route is a path (``*`` at its end: whatever follows) and a text, or ``{status:, type:, body:,
headers:, fetch: {NAME: URL}}``. Texts have placeholders: ``${hostname}``, ``${version}``, ``${env.NAME|other}``, ...
(:func:`facts_of`). Nothing is computed: what needs more is a program of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from simkube.clock.clock import TimedOut, within
from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.flags import flags
from simkube.runtime.programs.grpc_health import always_serving
from simkube.runtime.programs.serving import listen, own_certificate, stop_request

FETCH_SECONDS = 3.0
MOST_BODY = 64 * 1024
_HOLE = re.compile(r"\$\{([a-z]+)(?:\.([A-Za-z0-9_.-]+))?(?:\|((?:[^{}]|\{[^{}]*\})*))?\}")

Facts = Mapping[str, Any]


def fill(text: str, facts: Facts) -> str:
    """A text with its placeholders filled in once: ``${name}``, ``${group.name|otherwise}``; unknown ones are empty."""

    def value(found: re.Match[str]) -> str:
        known = facts.get(found[1], {} if found[2] else "")
        if found[2]:
            known = known.get(found[2]) if isinstance(known, Mapping) else None
        return str(known) if known not in (None, "") else fill(found[3] or "", facts)

    return _HOLE.sub(value, text)


def facts_of(process: Process) -> dict[str, Any]:
    """What placeholders may name of a process: its pod, version, variables (``env``) and flags (``flag``)."""
    sandbox = process.container.sandbox
    return {
        "hostname": sandbox.config.hostname,
        "pod": sandbox.config.name,
        "namespace": sandbox.config.namespace,
        "node": sandbox.config.node,
        "ip": sandbox.ip,
        "version": process.container.spec.version,
        "env": process.env,
        "flag": flags(process.argv[1:]),
        "time": process.container.clock.timestamp(),
    }


async def described(process: Process) -> int:
    """Run as described; the exit code."""
    data, facts = process.container.spec.behaviour, facts_of(process)
    for wanted in data.get("requires", ()):
        if not _has(process, wanted):
            await process.err(_line(wanted["says"], facts))
            return int(wanted.get("code", 1))
    await _say(process, data.get("logs", ()), facts)
    if data.get("starts"):
        await process.sleep(float(data["starts"]))
    for one in data.get("ports", ()):
        port = _number(one, process)
        if not port:
            continue  # a port that only a flag or a variable opens
        try:
            server = Answering(process, one, {**facts, "port": port})
            tls = own_certificate(process) if one.get("tls") else None
            listen(process, port, server.serve, tls=tls, health=always_serving if one.get("grpc") else None)
        except FileError as error:
            await process.err(f"listen tcp :{port}: bind: {error.strerror.lower()}\n")
            return 1
    await _say(process, data.get("ready", ()), facts)
    if "ends" in data:
        return int(data["ends"])
    if data.get("every"):
        process.spawn(_repeat(process, data["every"]))
    await stop_request(process)
    stop = data.get("stop") or {}
    await _say(process, [stop["says"]] if "says" in stop else (), facts_of(process))
    return int(stop.get("code", 0))


async def said_ok(process: Process) -> int:
    """A tool beside such a server: says what ``says_ok`` has for its name, and succeeds."""
    texts = process.container.spec.behaviour.get("says_ok") or {}
    text = fill(str(texts.get(process.argv[0].rpartition("/")[2], "")), facts_of(process))
    if text:
        await process.out(f"{text}\n")
    return 0


def _has(process: Process, wanted: Mapping[str, Any]) -> bool:
    if "file" in wanted:
        return process.container.files.exists(str(wanted["file"]))
    return any(name in process.env for name in wanted["any"])


def _line(text: str, facts: Facts) -> str:
    return fill(text, facts).rstrip("\n") + "\n"


async def _say(process: Process, lines: Any, facts: Facts) -> None:
    for line in lines:
        if isinstance(line, Mapping):
            await process.err(_line(line["err"], facts))
        else:
            await process.out(_line(line, facts))


async def _repeat(process: Process, what: Mapping[str, Any]) -> None:
    while True:
        await process.sleep(max(0.5, float(what["seconds"])))
        await _say(process, [what["says"]], facts_of(process))


async def reaches(process: Process, host: str, port: int) -> bool:
    """Whether a server takes a connection."""
    sandbox = process.container.sandbox
    try:
        connecting = sandbox.network.connect(sandbox.ip, host, port, sandbox.config)
        (await within(process.container.clock, FETCH_SECONDS, connecting)).close()
    except (NetworkError, TimedOut):
        return False
    return True


def _number(one: Mapping[str, Any], process: Process) -> int:
    """The port: of a flag or a variable where it says so (``8080``, ``:8080``, ``0.0.0.0:8080``), else its own."""
    given = flags(process.argv[1:]).get(one.get("flag", ""), "") or process.env.get(one.get("env", ""), "")
    text = given.rpartition(":")[2]
    return int(text) if text.isdecimal() and len(text) < 6 and 0 < int(text) < 65536 else int(one["port"])


class Answering:
    """The answers of one port."""

    def __init__(self, process: Process, data: Mapping[str, Any], facts: Facts) -> None:
        self._process = process
        self._data = data
        self._facts = facts

    async def serve(self, request: HTTPRequest, peer: str) -> HTTPResponse:
        """One request, logged where the data says how."""
        path, query = httptext.split_path(request.path)
        headers = "".join(f"{name.title()}: {value}\n" for name, value in request.headers.items())
        facts = {
            **self._facts,
            "path": request.path,
            "method": request.method,
            "peer": peer,
            "query": query,
            "header": request.headers,
            "headers": headers,
            "body": request.body[:MOST_BODY].decode("utf-8", "replace"),
            "time": self._process.container.clock.timestamp(),
            "date": httptext.log_date(self._process.container.clock.now()),
        }
        needs = self._data.get("needs")
        route = self._route(path) if needs is None or await self._there(needs, facts) else needs["otherwise"]
        response = await self._answer(route, facts)
        if self._data.get("access_log"):
            line = fill(self._data["access_log"], {**facts, "status": response.status, "size": len(response.body)})
            self._process.container.log.write("stdout", f"{line if line.isprintable() else '-'}\n".encode())
        return HTTPResponse(response.status, response.headers) if request.method == "HEAD" else response

    async def _there(self, needs: Mapping[str, Any], facts: Facts) -> bool:
        """Whether the server listens without which this one can do nothing."""
        host, colon, port = fill(str(needs["at"]), facts).rpartition(":")
        where = (host, port) if colon and port.isdecimal() else (host + colon + port, str(needs["port"]))
        return await reaches(self._process, where[0], int(where[1]) if len(where[1]) < 6 else 0)

    def _route(self, path: str) -> Any:
        routes = self._data.get("routes", {})
        if path in routes:
            return routes[path]
        for pattern in sorted(routes, key=len, reverse=True):
            if pattern.endswith("*") and path.startswith(pattern[:-1]):
                return routes[pattern]
        return self._data.get("otherwise", {"status": 404, "body": "404 page not found\n"})

    async def _answer(self, route: Any, facts: dict[str, Any]) -> HTTPResponse:
        if not isinstance(route, Mapping):
            route = {"body": route}
        if route.get("fetch"):
            facts["fetch"] = {name: await self._fetch(fill(url, facts)) for name, url in route["fetch"].items()}
        body = fill(str(route.get("body", "")), facts)[:MOST_BODY]
        response = httptext.text(int(route.get("status", 200)), body, route.get("type", "text/plain; charset=utf-8"))
        more = {name.lower(): fill(str(value), facts) for name, value in (route.get("headers") or {}).items()}
        more.update(
            {name.lower(): fill(str(value), facts) for name, value in (self._data.get("headers") or {}).items()}
        )
        return HTTPResponse(response.status, {**response.headers, **more}, response.body)

    async def _fetch(self, url: str) -> str | None:
        """The body of another server's answer; None when there is none, or it is an error."""
        sandbox = self._process.container.sandbox
        try:
            _, host, port, target = httptext.parse_url(url)
            connecting = sandbox.network.connect(sandbox.ip, host, port, sandbox.config)
            connection = await within(self._process.container.clock, FETCH_SECONDS, connecting)
            try:
                asked = connection.exchange(HTTPRequest("GET", target, {"host": host}))
                response = await within(self._process.container.clock, FETCH_SECONDS, asked)
            finally:
                connection.close()
        except (NetworkError, TimedOut, httptext.BadURL):
            return None
        return response.body[:MOST_BODY].decode("utf-8", "replace") if response.status < 400 else None
