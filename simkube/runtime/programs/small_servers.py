"""Small servers that tutorials and test suites use: agnhost (netexec, serve-hostname, pause), http-echo, pause."""

from __future__ import annotations

import errno

from simkube.clock.clock import Future, TimedOut, within
from simkube.runtime import httptext, signals
from simkube.runtime.applets.options import seconds_of
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.network.ports import Serve
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.flags import flags
from simkube.runtime.programs.grpc_health import grpc_health_checking
from simkube.runtime.programs.serving import listen, stop_request
from simkube.runtime.programs.webhook import conversion_webhook, webhook


async def pause(process: Process) -> int:
    """Waits for SIGTERM or SIGINT and says what it got, as the pause container."""
    number = await stop_request(process)
    await process.err(f"Shutting down, got signal: {'Terminated' if number == signals.TERM else 'Interrupt'}\n")
    return 0


APPLICATION, SIMULATED = "/app/main.py", b"# A web application; simulated.\n"
"""What ``kindling/web`` and its like start, and what they have there (``simkube/behaviours``)."""
LIVELY = 10.0
"""Seconds for which ``agnhost liveness`` is healthy."""


async def _liveness(process: Process, options: dict[str, str]) -> int:
    """The server of the documentation's page on probes: ``/healthz`` is 200 for ten seconds, then 500."""
    began = process.container.clock.now()

    async def serve(request: HTTPRequest, peer: str) -> HTTPResponse:
        path = httptext.split_path(request.path)[0]
        age = process.container.clock.now() - began
        if path == "/started":
            return httptext.text(200, f"{age:.9f}s")
        if path == "/healthz" and age > LIVELY:
            return httptext.text(500, f"error: {age:.9f}")
        return httptext.text(200, "ok") if path == "/healthz" else httptext.text(404, "404 page not found\n")

    listen(process, 8080, serve)
    await stop_request(process)
    return 2


_SERVERS = {
    "crd-conversion-webhook": conversion_webhook,
    "grpc-health-checking": grpc_health_checking,
    "liveness": _liveness,
    "webhook": webhook,
}


async def agnhost(process: Process) -> int:
    """``agnhost connect | netexec | pause | serve-hostname``, and :data:`_SERVERS`; others are refused."""
    arguments = process.argv[1:] or ["pause"]
    command, options = arguments[0], flags(arguments[1:])
    if command == "pause":
        return await _agnhost_pause(process)
    if command == "connect":
        return await _connect(process, arguments[1:])
    if command in _SERVERS:
        return await _SERVERS[command](process, options)
    answer: Serve
    if command == "netexec":
        port, answer = _port(options.get("http-port", "8080")), _NetExec(process).serve
    elif command == "serve-hostname":
        port, answer = _port(options.get("port", "9376")), _hostname(process)
    else:
        known = ", ".join(sorted(("connect", "netexec", "pause", "serve-hostname", *_SERVERS)))
        await process.err(f"agnhost: {command} is not simulated; these are: {known}\n")
        return 1
    try:
        listen(process, port, answer)
    except FileError as error:
        await process.err(f"listen tcp :{port}: bind: {error.strerror.lower()}\n")
        return 1
    if command == "netexec":
        await process.err(f"Started HTTP server on port {port}\n")
    return await _end_of_agnhost(process, command, options)


async def _connect(process: Process, arguments: list[str]) -> int:
    """``agnhost connect [--timeout=S] HOST:PORT``: prints DNS, REFUSED, TIMEOUT or OTHER and fails, or says nothing."""
    targets = [word for word in arguments if not word.startswith("-")]
    options = dict(word.lstrip("-").partition("=")[::2] for word in arguments if word.startswith("-"))
    host, _, port = (targets[0] if targets else "").rpartition(":")
    seconds = seconds_of(options.get("timeout", "10s"))
    if not host or not port.isdecimal() or options.get("protocol", "tcp") != "tcp" or seconds is None:
        await process.err("OTHER: usage: agnhost connect [--timeout=10s] HOST:PORT, over TCP\n")
        return 1
    sandbox = process.container.sandbox
    try:
        connecting = sandbox.network.connect(sandbox.ip, host, _port(port), sandbox.config)
        (await within(process.container.clock, seconds or 10.0, connecting)).close()
    except TimedOut:
        await process.err("TIMEOUT\n")
        return 1
    except NetworkError as error:
        words = {"name": f"DNS: {error}", "refused": "REFUSED", "timeout": "TIMEOUT"}
        await process.err(f"{words.get(error.kind, f'OTHER: {error}')}\n")
        return 1
    return 0


async def _end_of_agnhost(process: Process, command: str, options: dict[str, str]) -> int:
    """serve-hostname waits to be killed; netexec ends with 2, as Go programs do, or with 0 after its delay."""
    await stop_request(process)
    if command == "serve-hostname":
        await process.err("Shutting down after receiving signal: terminated.\nAwaiting pod deletion.\n")
        await Future[None]()
    delay = options.get("delay-shutdown", "0")
    seconds = int(delay) if delay.isdecimal() and len(delay) < 6 else 0
    if not seconds:
        return 2
    await process.sleep(seconds)
    return 0


async def _agnhost_pause(process: Process) -> int:
    await process.out("Paused\n")
    await stop_request(process)
    return 2


def _port(text: str) -> int:
    number = int(text) if text.isdecimal() and len(text) < 6 else 0
    if not 0 < number < 65536:
        raise FileError(errno.EINVAL, f"port {text[:20]}")
    return number


def _hostname(process: Process) -> Serve:
    name = process.container.sandbox.config.hostname

    async def serve(request: HTTPRequest, peer: str) -> HTTPResponse:
        return httptext.text(200, name)

    return serve


class _NetExec:
    """``agnhost netexec``: /hostname, /clientip, /echo, /exit, /healthz, and the time for every other path but the
    refused.
    """

    REFUSED = ("/shell", "/dial", "/upload", "/shutdown", "/redirect")

    def __init__(self, process: Process) -> None:
        self._process = process

    async def serve(self, request: HTTPRequest, peer: str) -> HTTPResponse:
        """One request."""
        path, query = httptext.split_path(request.path)
        process = self._process
        await process.err(f"{request.method} {path[:200]}\n")
        if path in self.REFUSED:
            return httptext.text(501, f"agnhost netexec {path} is not simulated\n")
        if path.lower() == "/hostname":
            return httptext.text(200, process.container.sandbox.config.hostname)
        if path == "/clientip":
            return httptext.text(200, f"{peer}:40000")
        if path == "/healthz":
            return httptext.text(200, "")
        if path == "/echo":
            code = query.get("code", "200")
            return httptext.text(int(code) if code.isdecimal() and len(code) == 3 else 200, query.get("msg", ""))
        if path == "/exit":
            code = query.get("code", "0")
            number = int(code) & 255 if code.isdecimal() and len(code) < 6 else 0
            process.container.clock.call_later(0.0, lambda: process.end(number))
            return httptext.text(200, "")
        return httptext.text(200, f"NOW: {process.container.clock.timestamp()}")


async def http_echo(process: Process) -> int:
    """hashicorp/http-echo: answers every request with ``-text``."""
    options = flags(process.argv[1:])
    text = options.get("text", process.env.get("ECHO_TEXT", "hello-world"))
    address = options.get("listen", ":5678")
    body = f"{text}\n"

    async def serve(request: HTTPRequest, peer: str) -> HTTPResponse:
        return httptext.text(200, body)

    listen(process, _port(address.rpartition(":")[2]), serve)
    await process.out(f"{process.container.clock.timestamp()} [INFO] server is listening on {address}\n")
    await stop_request(process)
    return 0


def _untouched(process: Process) -> bool:
    files = process.container.files
    return files.exists(APPLICATION) and files.read(APPLICATION) == SIMULATED


async def python(process: Process) -> int:
    """python3 of ``kindling/web``: runs the application it came for, and what every Python here does.

    Where something else is in the application's place, that is what runs.
    """
    from simkube.runtime.programs.interpreter import interpreter
    from simkube.runtime.programs.shop import Shop
    from simkube.runtime.programs.web_app import web_app

    words = [word for word in process.argv[1:] if word not in ("-u", "-B", "-O")]
    if words and process.resolve(words[0]) == APPLICATION and _untouched(process):
        process.argv = [process.argv[0], *words]
        return await web_app(process, {"shop": Shop} if process.container.files.exists("/app/shop.py") else {})
    if words in (["--version"], ["-V"]):
        await process.out("Python 3.13.0\n")
        return 0
    return await interpreter(process)
