"""The probe twice: the program of the image, as a process on loopback, and its twin in the simulator.

A test that is written against :class:`Twin` runs on both, so that neither does what the other does not.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from simkube.clock.clock import spawn
from simkube.runtime.container import SimContainer
from simkube.runtime.cri import HTTPRequest
from tests.doubles.container_node import Bench

HOME = Path(__file__).parents[5] / "labs" / "images" / "web"
SECONDS = 30.0


class App(Protocol):
    """A running application of the image."""

    @property
    def url(self) -> str: ...

    @property
    def address(self) -> tuple[str, int]: ...

    def post(self, path: str) -> int:
        """Ask it to misbehave; the status."""

    def end(self, number: int) -> None:
        """Send it a signal, and wait until a process that is killed has ended."""


class Twin(Protocol):
    """Where the probe runs, with applications that it can reach."""

    def app(self, **environment: str) -> App:
        """Another application, which answers already."""

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One request to the probe: status, and what it says (JSON, or text)."""

    def until(self, done: Callable[[], bool]) -> None:
        """Let time pass until it is so."""


class _Process:
    def __init__(self, *arguments: str, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = ("127.0.0.1", free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.address[1]}/"
        self.process = subprocess.Popen(
            [sys.executable, str(HOME / "main.py"), *arguments],
            env={"PATH": os.environ["PATH"], "PORT": str(self.address[1]), **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self.url + path.lstrip("/"), data=data, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def post(self, path: str) -> int:
        return self.ask("POST", path)[0]

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait(SECONDS)


class ImageTwin:
    """The image's programs."""

    def __init__(self) -> None:
        self._started: list[_Process] = []
        self._probe = self._up("probe")

    def app(self, **environment: str) -> App:
        return self._up(**environment)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        status, text = self._probe.ask(method, path, body)
        return status, _said(text)

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not done():
            assert time.monotonic() < deadline, "it did not happen"

    def close(self) -> None:
        for one in self._started:
            one.process.kill()
            one.process.wait()

    def _up(self, *arguments: str, **environment: str) -> _Process:
        made = _Process(*arguments, **environment)
        self._started.append(made)

        def answers() -> bool:
            try:
                return made.ask("GET", "/healthz")[0] == 200
            except OSError:
                return False

        self.until(answers)
        return made


class _Simulated:
    def __init__(self, container: SimContainer) -> None:
        self.container = container
        self.address = (container.sandbox.ip, 8080)
        self.url = f"http://{container.sandbox.ip}:8080/"

    def post(self, path: str) -> int:
        return spawn(self.container.sandbox.http(8080, HTTPRequest("POST", path, {}, b""))).result().status

    def end(self, number: int) -> None:
        if number == signal.SIGTERM:
            self.container.stop(60)
        else:
            self.container.signal(number)


class SimulatedTwin:
    """The simulator's."""

    def __init__(self) -> None:
        self.bench = Bench()
        self._probe = self.bench.started("kindling/web:1.0", args=["probe"], sandbox=self.bench.sandbox("probe"))
        self._apps = 0

    def app(self, **environment: str) -> App:
        self._apps += 1
        sandbox = self.bench.sandbox(f"app-{self._apps}")
        return _Simulated(self.bench.started("kindling/web:1.0", env=environment, sandbox=sandbox))

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        asked = spawn(self._probe.sandbox.http(8080, HTTPRequest(method, path, {}, content)))
        self.until(lambda: asked.done)
        answer = asked.result()
        return answer.status, _said(answer.body.decode())

    def until(self, done: Callable[[], bool]) -> None:
        waited = 0.0
        while not done():
            self.bench.clock.advance(0.02)
            waited += 0.02
            assert waited < SECONDS, "it did not happen"

    def close(self) -> None:
        pass


TWINS: Mapping[str, Callable[[], ImageTwin | SimulatedTwin]] = {"image": ImageTwin, "simulated": SimulatedTwin}


def _said(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
