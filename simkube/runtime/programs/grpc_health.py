"""``agnhost grpc-health-checking``: serves the gRPC health protocol, and two paths of HTTP that switch what it says.

After ``test/images/agnhost/grpc-health-checking``. Of gRPC nothing but ``grpc.health.v1.Health/Check`` is simulated.
"""

from __future__ import annotations

from simkube.clock.clock import TimedOut, within
from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.network.ports import Health
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.flags import flags
from simkube.runtime.programs.serving import listen, stop_request

SERVING, NOT_SERVING = "SERVING", "NOT_SERVING"


class _Checker:
    """Healthy until it was told otherwise, or for so many seconds."""

    def __init__(self, process: Process, service: str, seconds: float) -> None:
        self._process = process
        self._service = service
        self._began = process.container.clock.now()
        self._seconds = seconds
        self._forced: bool | None = None

    @property
    def _age(self) -> float:
        return self._process.container.clock.now() - self._began

    def check(self, service: str) -> str | None:
        """The status of a service; None for one that it does not know."""
        if service != self._service:
            return None
        late = 0 <= self._seconds <= self._age
        return NOT_SERVING if self._forced is False or late else SERVING

    async def serve(self, request: HTTPRequest, peer: str) -> HTTPResponse:
        """``/make-serving``, ``/make-not-serving``."""
        path, _ = httptext.split_path(request.path)
        words = {"/make-serving": "healthy", "/make-not-serving": "unhealthy"}
        if path not in words:
            return httptext.text(404, "404 page not found\n")
        await self._process.err(f"Mark as {words[path]}\n")
        self._forced = path == "/make-serving"
        return httptext.text(200, f"{self._age:g}s")


async def grpc_health_checking(process: Process, options: dict[str, str]) -> int:
    """Until a signal ends it: 2, as Go programs do; 1 when it cannot listen or does not understand a flag."""
    try:
        port, http_port = int(options.get("port", "5000")), int(options.get("http-port", "8080"))
        checker = _Checker(process, options.get("service", ""), float(int(options.get("delay-unhealthy-sec", "-1"))))
    except ValueError as error:
        await process.err(f"Error: invalid argument: {error}\n")
        return 1
    try:
        await process.err(f"Http server starting to listen on :{http_port}\n")
        listen(process, http_port, checker.serve)
        await process.err(f"gRPC server starting to listen on :{port}\n")
        listen(process, port, _no_http, health=checker.check)
    except FileError as error:
        await process.err(f"Error while starting the listening service {error.strerror.lower()}\n")
        return 1
    await stop_request(process)
    return 2


async def _no_http(request: HTTPRequest, peer: str) -> HTTPResponse:
    """What a gRPC server has to say to HTTP/1."""
    return httptext.text(400, "this port speaks gRPC\n")


async def grpc_health_probe(process: Process) -> int:
    """``grpc_health_probe -addr=:PORT [-service=S]``: asks a server in its own pod; 0 when it is healthy."""
    given = flags(process.argv[1:])
    port, service = given.get("addr", "").rpartition(":")[2], given.get("service", "")
    if not (port.isdecimal() and len(port) < 6):
        await process.err("error: -addr not specified, or not :PORT of its own pod\n")
        return 1
    try:
        status = await within(process.container.clock, 1.0, process.container.sandbox.grpc_health(int(port), service))
    except (NetworkError, TimedOut):
        await process.err(f'timeout: failed to connect service ":{port}" within 1s\n')
        return 2
    if status is None:
        await process.err("error: health rpc failed: rpc error: code = NotFound desc = unknown service\n")
        return 3
    await process.err(f"status: {status}\n")
    return 0 if status == SERVING else 4


def always_serving(service: str) -> str | None:
    """Every service is healthy."""
    return SERVING


__all__ = ["Health", "always_serving", "grpc_health_checking", "grpc_health_probe"]
