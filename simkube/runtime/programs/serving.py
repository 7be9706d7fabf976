"""What simulated servers share: listening, and waiting for the signal that stops them."""

from __future__ import annotations

from collections.abc import Iterable

from simkube.clock.clock import Future
from simkube.runtime import signals
from simkube.runtime.network.ports import Certificate, Health, Identify, Listener, Serve
from simkube.runtime.process import Process


def stop_request(process: Process, numbers: Iterable[int] = (signals.TERM, signals.INT)) -> Future[int]:
    """A future that gets the number of the first of these signals to arrive."""
    asked: Future[int] = Future()
    for number in numbers:
        process.handlers[number] = asked.set
    return asked


def listen(
    process: Process,
    port: int,
    serve: Serve,
    address: str = "0.0.0.0",  # noqa: S104 - simulated
    *,
    tls: Identify | None = None,
    health: Health | None = None,
) -> Listener:
    """Listen in the process's pod; FileError EADDRINUSE."""
    return process.container.sandbox.ports.listen(process, port, serve, address, tls=tls, health=health)


def own_certificate(process: Process) -> Identify:
    """A certificate that the server has made itself: for its pod's name and address, and trusted by nobody."""
    sandbox = process.container.sandbox
    certificate = Certificate((sandbox.config.hostname, sandbox.ip), "")
    return lambda _: certificate
