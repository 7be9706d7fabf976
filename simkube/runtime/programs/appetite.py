"""Servers whose appetite is data: so much processor time and memory for each request, so much memory a second.

``behaviour`` of an image says what its server does (``port``, ``answer``, ``cpu_per_request``, ``memory_per_request``,
``memory_per_second``, ``memory_at_start``, ``workers``), and the variable that ``settings`` names may change each
figure. What it once took it never gives back: it leaks.
"""

from __future__ import annotations

from typing import Any

from simkube.apimachinery.quantity import QuantityError, milli
from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.serving import listen, stop_request

MOST_BYTES = 1 << 44


class BadSetting(Exception):
    """A variable that is no amount; the message names it."""


class Appetite:
    """The figures of one server: processor seconds and bytes."""

    def __init__(self, process: Process) -> None:
        self._data: dict[str, Any] = process.container.spec.behaviour
        self._env = process.env
        self.port = int(self._data.get("port", 80))
        self.answer = str(self._data.get("answer", "OK!"))
        self.access_log = str(self._data.get("access_log", ""))
        self.cpu = self._amount("cpu_per_request") / 1000
        self.leak = self._amount("memory_per_request") // 1000
        self.growth = self._amount("memory_per_second") // 1000
        self.start = self._amount("memory_at_start") // 1000

    def _amount(self, figure: str) -> int:
        variable = (self._data.get("settings") or {}).get(figure, "")
        text = str(self._env.get(variable) or self._data.get(figure, "0"))
        try:
            return max(0, min(milli(text), MOST_BYTES))
        except QuantityError as error:
            raise BadSetting(f"{variable or figure}={text[:60]}: {error}") from error


async def appetite(process: Process) -> int:
    """Serve until SIGTERM."""
    try:
        figures = Appetite(process)
        listen(process, figures.port, _server(process, figures))
    except BadSetting as problem:
        await process.err(f"fatal: {problem}\n")
        return 1
    except FileError as error:
        await process.err(f"fatal: bind to port {figures.port}: {error.strerror}\n")
        return 1
    if figures.start:
        await process.allocate(figures.start)
    if figures.growth:
        process.spawn(_grow(process, figures.growth))
    await stop_request(process)
    return 0


def _server(process: Process, figures: Appetite) -> Any:
    async def serve(request: HTTPRequest, peer: str) -> HTTPResponse:
        if figures.cpu:
            await process.burn(figures.cpu)
        if figures.leak:
            await process.allocate(figures.leak)
        if figures.access_log:
            when = httptext.log_date(process.container.clock.now())
            line = figures.access_log.format(peer=peer, when=when, method=request.method, path=request.path[:200])
            process.container.log.write("stdout", f"{line if line.isprintable() else '-'}\n".encode())
        return httptext.text(200, figures.answer, "text/html; charset=UTF-8")

    return serve


async def _grow(process: Process, size: int) -> None:
    while True:
        await process.sleep(1.0)
        await process.allocate(size)
