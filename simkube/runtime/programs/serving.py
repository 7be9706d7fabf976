"""What simulated servers share: waiting for the signal that stops them."""

from __future__ import annotations

from collections.abc import Iterable

from simkube.clock import Future
from simkube.proxy.ports import Listener, Serve
from simkube.runtime import signals
from simkube.runtime.process import Process


def stop_request(process: Process, numbers: Iterable[int] = (signals.TERM, signals.INT)) -> Future[int]:
    """A future that gets the number of the first of these signals to arrive."""
    asked: Future[int] = Future()
    for number in numbers:
        process.handlers[number] = asked.set
    return asked


def listen(process: Process, port: int, serve: Serve, address: str = "0.0.0.0") -> Listener:  # noqa: S104 - simulated
    """Listen in the process's pod; FileError EADDRINUSE."""
    return process.container.sandbox.ports.listen(process, port, serve, address)
