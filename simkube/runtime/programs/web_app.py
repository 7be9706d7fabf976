"""``kindling/web``: a small web application. It answers as the one in the image does, request for request.

State that a pod keeps while its host process is restarted (how many requests, whether it hangs) is in
``container.durable``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from simkube.clock.clock import Future, TimedOut, within
from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse
from simkube.runtime.files import normal
from simkube.runtime.nodes import Directory, FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.probe import Probe
from simkube.runtime.programs.serving import listen, stop_request
from simkube.runtime.usage import EVER

FINISH_SECONDS = 5.0
MAX_WORK_MS = 1000
MAX_WAIT_MS = 10_000
Make = Callable[[Process, float], "Web | Probe"]
"""What answers, made for a process and its start-up work in seconds."""


async def web_app(process: Process, more: Mapping[str, Make] = MappingProxyType({})) -> int:
    """Serve as the application, as its probe with the argument ``probe``, or as one of ``more``, by its name; the exit
    code."""
    env = process.env
    if env.get("CRASH"):
        await process.out(f"fatal: {env['CRASH']}\n")
        return 1
    arguments = process.argv[2:]
    modes: dict[str, Make] = {"probe": lambda process, _: Probe(process), **more}
    if arguments and not (len(arguments) == 1 and arguments[0] in modes):
        await process.out(f"fatal: unknown arguments {arguments!r}; use none or: {', '.join(modes)}\n")
        return 2
    try:
        port, drain, startup = _settings(env)
        server = Server(process, modes[arguments[0]](process, startup) if arguments else Web(process, startup))
        await server.run(port, drain)
    except (ValueError, FileError) as error:
        await process.out(f"fatal: {error}\n")
        return 1
    return 0


def _settings(env: Mapping[str, str]) -> tuple[int, float, float]:
    port = int(env.get("PORT") or "8080")
    drain = float(env.get("DRAIN_SECONDS") or "0")
    if not 0 <= port < 65536:
        raise ValueError("bind(): port must be 0-65535.")
    try:
        startup = float(env.get("STARTUP_SECONDS") or "0")
    except ValueError:
        raise ValueError(f"STARTUP_SECONDS must be a number, not {env['STARTUP_SECONDS']!r}") from None
    return port, drain, startup


class Server:
    """The HTTP server: hangs, drains, logs. ``app`` is a :class:`Web` or :class:`Probe`."""

    def __init__(self, process: Process, app: Web | Probe) -> None:
        self.process = process
        self.app = app
        self.state = process.container.durable if process.pid == 1 else {}
        self.stopping = False
        self.hung: Future[None] = Future()

    async def run(self, port: int, drain: float) -> None:
        """Serve until SIGTERM or SIGINT, through the drain time, until the requests in flight are answered."""
        process = self.process
        listener = listen(process, port, self.serve)
        asked = stop_request(process)
        await asked
        self.stopping = True
        if not self.state.get("hanging") and drain > 0:
            await process.sleep(drain)
        listener.close()
        if not self.state.get("hanging"):
            await self._finish(listener.drained())

    async def _finish(self, drained: Any) -> None:
        try:
            await within(self.process.container.clock, FINISH_SECONDS, drained)
        except TimedOut:
            return

    async def serve(self, request: HTTPRequest, peer: str) -> HTTPResponse:
        """Answer one request, unless hanging; log it."""
        if self.state.get("hanging"):
            await Future[None]()
        path, _, rest = request.path.partition("?")
        pairs = (pair.partition("=") for pair in rest.split("&") if pair)
        response = await self.app.answer(self, request, path, {key: value for key, _, value in pairs})
        if self.app.logs:
            line = f"{request.method} {request.path[:200]} {response.status} to {peer}"
            if not line.isprintable():
                line = "".join(c if c.isprintable() else "?" for c in line)
            self.process.container.log.write("stdout", f"{line}\n".encode())
        if self.stopping:
            response = HTTPResponse(response.status, {**response.headers, "connection": "close"}, response.body)
        if request.method == "HEAD":
            return HTTPResponse(response.status, response.headers)
        return response

    def hang(self) -> None:
        """From now on accept every request and answer none."""
        self.state["hanging"] = True


class Web:
    """The application's answers."""

    logs = True

    def __init__(self, process: Process, startup_seconds: float) -> None:
        env = process.env
        self._process = process
        self._clock = process.container.clock
        self._started = process.container.started_at or process.started_at
        self._startup_seconds = startup_seconds
        self._ready_at = self._started + startup_seconds
        version = env.get("VERSION") or "1.0"
        self._hostname = process.container.sandbox.config.hostname
        self._version = version
        self._root = env.get("WEB_ROOT") or ""
        self._message = env.get("MESSAGE") or "Hello"
        self._hello = httptext.text(200, f"{self._message} from {self._hostname}, version {version}\n")
        self._state = process.container.durable if process.pid == 1 else {}
        self._working = 0
        self._computing: Future[None] = Future()

    async def answer(self, server: Server, request: HTTPRequest, path: str, query: dict[str, str]) -> HTTPResponse:
        """The answer to one request."""
        number = self._state["requests"] = self._state.get("requests", 0) + 1
        if request.method == "POST":
            return self._post(server, path, query)
        if request.method not in ("GET", "HEAD"):
            return httptext.text(405, "method not allowed\n")
        starting = self._clock.now() < self._ready_at
        if path == "/healthz":
            return httptext.text(200, "ok\n")
        if path == "/info":
            return self._info(number)
        if starting and path in ("/", "/readyz", "/work", "/wait"):
            return httptext.text(503, "starting\n")
        if path == "/readyz":
            return httptext.text(200, "ready\n")
        if path == "/work":
            return await self._work(query)
        if path == "/wait":
            return await self._wait(query)
        if self._root:
            return self._file(path)
        return self._hello if path == "/" else httptext.text(404, "not found\n")

    def _post(self, server: Server, path: str, query: dict[str, str]) -> HTTPResponse:
        if path == "/hang":
            server.hang()
            return httptext.text(202, "hanging\n")
        if path == "/exit":
            code = query.get("code", "0")
            number = int(code) & 255 if code.isdecimal() and len(code) < 10 else 0
            # after the answer is on its way, as in the real one
            self._clock.call_later(0.0, lambda: self._process.end(number))
            return httptext.text(202, "exiting\n")
        return httptext.text(404, "not found\n")

    def _info(self, number: int) -> HTTPResponse:
        said = {"hostname": self._hostname, "version": self._version, "message": self._message}
        since = {"startup_seconds": self._startup_seconds, "started": self._started}
        return as_json(200, {**said, **since, "requests": number, "pid": self._process.pid})

    async def _wait(self, query: dict[str, str]) -> HTTPResponse:
        wanted = query.get("ms", "0")
        milliseconds = min(int(wanted), MAX_WAIT_MS) if wanted.isdecimal() and len(wanted) < 10 else 0
        await self._process.sleep(milliseconds / 1000)
        return httptext.text(200, f"waited {milliseconds} ms\n")

    async def _work(self, query: dict[str, str]) -> HTTPResponse:
        wanted = query.get("ms", "0")
        milliseconds = min(int(wanted), MAX_WORK_MS) if wanted.isdecimal() and len(wanted) < 10 else 0
        if milliseconds:
            await self._busy(milliseconds / 1000)
        return httptext.text(200, f"worked {milliseconds} ms\n")

    async def _busy(self, seconds: float) -> None:
        """Compute for so long; however many requests do so at once, Python uses one processor for all."""
        if not self._working:
            self._computing = self._process.container.processors.run(EVER)
        self._working += 1
        try:
            await self._process.sleep(seconds)
        finally:
            self._working -= 1
            if not self._working:
                self._computing.on_cancel()

    def _file(self, path: str) -> HTTPResponse:
        wanted = httptext.split_path(path)[0].strip("/") or "index.html"
        files = self._process.container.files
        root = normal(self._process.resolve(self._root))
        try:
            place = files.find(f"{root}/{wanted}")
            inside = files.find(root).path.rstrip("/") + "/"
            if not place.path.startswith(inside) or place.node is None or isinstance(place.node, Directory):
                return httptext.text(404, "not found\n")
            content = files.read(place.path)
        except FileError:
            return httptext.text(404, "not found\n")
        return httptext.text(200, content, httptext.content_type(place.path, "text/plain; charset=utf-8"))


def as_json(status: int, value: Any) -> HTTPResponse:
    """A JSON answer as the application writes it."""
    return httptext.text(status, json.dumps(value) + "\n", "application/json")
