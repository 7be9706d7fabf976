"""Where services of the shop run in its tests: as processes of the image's program, or as pods of a simulated node."""

from __future__ import annotations

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from simkube.clock.clock import Task, spawn
from simkube.runtime.container import SimContainer
from simkube.runtime.cri import HTTPRequest, HTTPResponse
from simkube.runtime.sandbox import PodSandbox
from tests.doubles.container_node import Bench

IMAGES = Path(__file__).parents[2] / "labs" / "images"
CRASHED = 1
BOOT_SECONDS = 30.0


class Unit(Protocol):
    """One service."""

    url: str
    hostname: str

    def ask(self, path: str, method: str = "GET") -> tuple[int, str]: ...
    def log(self) -> str: ...
    def kill(self) -> None: ...
    def memory(self) -> int: ...
    def processor_seconds(self) -> float: ...


class World(Protocol):
    """Where services run. ``at``: an address that :meth:`address` gave; ``until``: time passes until it is true."""

    def start(self, name: str, at: str = "", **environment: str) -> Unit: ...
    def crash(self, **environment: str) -> tuple[int, str]: ...
    def file(self, content: str) -> str: ...
    def address(self) -> str: ...
    def liar(self, answer: str) -> str: ...
    def until(self, condition: Callable[[], bool]) -> None: ...
    def now(self) -> float: ...
    def close(self) -> None: ...


# -- as processes ----------------------------------------------------------------------------------------------------


class RealUnit:
    """A process of the image's program."""

    def __init__(self, port: int, environment: Mapping[str, str], log: Path) -> None:
        self.url, self.hostname, self._log = f"http://127.0.0.1:{port}/", socket.gethostname(), log
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(IMAGES / "web" / "main.py"), "shop"],
                env={**base_environment(), "PORT": str(port), **environment},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def up(self) -> RealUnit:
        deadline = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < deadline:
            try:
                if self.ask("/healthz")[0] == 200:
                    return self
            except OSError:
                continue
        raise AssertionError(f"the service did not come up: {self.log()}")

    def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        asked = urllib.request.Request(self.url + path.lstrip("/"), method=method)
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def memory(self) -> int:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def processor_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def base_environment() -> dict[str, str]:
    """The shop's modules lie beside the web application's in the image; here they are on the path."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(IMAGES / "shop"), "PYTHONDONTWRITEBYTECODE": "1"}


class Real:
    """Processes on loopback."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._units = folder, list[RealUnit]()
        self._liars: list[http.server.ThreadingHTTPServer] = []

    def start(self, name: str, at: str = "", **environment: str) -> RealUnit:
        address = at or self.address()
        port = int(address.rstrip("/").rpartition(":")[2])
        unit = RealUnit(port, {"SERVICE": name, **environment}, self._folder / f"{len(self._units)}.log")
        self._units.append(unit)
        return unit.up()

    def crash(self, **environment: str) -> tuple[int, str]:
        return _ended(IMAGES / "web" / "main.py", {**base_environment(), "PORT": "0", **environment})

    def file(self, content: str) -> str:
        place = self._folder / "graph.json"
        place.write_text(content)
        return str(place)

    def address(self) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return f"http://127.0.0.1:{free.getsockname()[1]}/"

    def liar(self, answer: str) -> str:
        class Lies(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer.encode())

            def log_message(self, format: str, *args: Any) -> None: ...

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lies)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self._liars.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/"

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        while not condition():
            assert time.monotonic() < deadline

    def now(self) -> float:
        return time.monotonic()

    def close(self) -> None:
        for unit in self._units:
            unit.kill()
        for liar in self._liars:
            liar.shutdown()
            liar.server_close()

    @staticmethod
    def without_the_shop() -> tuple[int, str]:
        return _ended(IMAGES / "web" / "main.py", {**base_environment(), "PYTHONPATH": ""})


def _ended(program: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    command = [sys.executable, str(program), "shop"]
    ran = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=60, check=False)
    return ran.returncode, ran.stdout


# -- as pods ---------------------------------------------------------------------------------------------------------


class SimUnit:
    """A pod."""

    def __init__(self, bench: Bench, container: SimContainer) -> None:
        self.bench, self.container = bench, container
        self.hostname = container.sandbox.config.hostname
        self.url = f"http://{container.sandbox.ip}:8080/"

    def begin(self, path: str, method: str = "GET") -> Task[HTTPResponse]:
        return spawn(self.container.sandbox.http(8080, HTTPRequest(method, path, {}, b"")))

    def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        asked = self.begin(path, method)
        for _ in range(1000):
            if asked.done:
                break
            self.bench.clock.advance(0.1)
        response = asked.result()
        return response.status, response.body.decode()

    def log(self) -> str:
        return "\n".join(line.text for line in self.container.log.lines())

    def kill(self) -> None:
        self.container.signal(9)

    def memory(self) -> int:
        return self.container.memory

    def processor_seconds(self) -> float:
        return self.container.processors.total


class Simulated:
    """Pods of one node, on a manual clock."""

    def __init__(self, _folder: Path | None) -> None:
        self.bench = Bench()
        self._started = 0
        self._content: dict[str, str] = {}
        self._reserved: dict[str, PodSandbox] = {}

    def start(self, name: str, at: str = "", **environment: str) -> SimUnit:
        return SimUnit(self.bench, self._begin(at, {"SERVICE": name, **environment}))

    def _begin(self, at: str, environment: Mapping[str, str]) -> SimContainer:
        self._started += 1
        sandbox = self._reserved.pop(at) if at else self.bench.sandbox(f"pod-{self._started}")
        image = f"kindling/shop:{environment.get('VERSION', '1.0')}"
        container = self.bench.container(image, env=dict(environment), sandbox=sandbox)
        for place, content in self._content.items():
            container.files.write(place, content.encode())
        container.start()
        return container

    def crash(self, **environment: str) -> tuple[int, str]:
        container = self._begin("", environment)
        self.bench.clock.advance(0.1)
        return container.exited.result(), "\n".join(line.text for line in container.log.lines())

    def file(self, content: str) -> str:
        self._content["/tmp/graph.json"] = content
        return "/tmp/graph.json"

    def address(self) -> str:
        sandbox = self.bench.sandbox(f"reserved-{len(self._reserved)}")
        address = f"http://{sandbox.ip}:8080/"
        self._reserved[address] = sandbox
        return address

    def liar(self, answer: str) -> str:
        self._started += 1
        sandbox = self.bench.sandbox(f"liar-{self._started}")
        command = ["/http-echo", f"-text={answer}"]
        self.bench.started("hashicorp/http-echo:1.0", command, sandbox=sandbox)
        return f"http://{sandbox.ip}:5678/"

    def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(1000):
            if condition():
                return
            self.bench.clock.advance(0.1)
        raise AssertionError("it did not come true")

    def now(self) -> float:
        return self.bench.clock.now()

    def close(self) -> None: ...

    @staticmethod
    def without_the_shop() -> tuple[int, str]:
        container = Bench().started("kindling/web:1.0", args=["shop"])
        return container.exited.result(), "".join(f"{line.text}\n" for line in container.log.lines())


__all__ = ["CRASHED", "Real", "Simulated", "Unit", "World"]
