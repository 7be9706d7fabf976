"""The application of the labs: says who it is, and misbehaves on request, for a learner to see what happens.

================== ===========================================================================================
``GET /``          200 ``{MESSAGE} from {hostname}, version {VERSION}``; 503 ``starting`` during ``STARTUP_SECONDS``;
                   with ``WEB_ROOT``, the file ``index.html`` of that folder instead
``GET /FILE``      with ``WEB_ROOT``, that file; 404 ``not found`` when there is none, and without ``WEB_ROOT``
``GET /healthz``   200 ``ok``
``GET /readyz``    200 ``ready``; 503 ``starting`` during the first ``STARTUP_SECONDS``
``GET /info``      JSON: hostname, version, message, startup_seconds, started (s since 1970), requests (so far), pid
``GET /work?ms=N`` 200 after N ms of computing (at most 1000); 503 ``starting`` during ``STARTUP_SECONDS``
``GET /wait?ms=N`` 200 after N ms of waiting (at most 10000); 503 ``starting`` during ``STARTUP_SECONDS``
``POST /hang``     202; from then on every request is accepted and none is answered
``POST /exit?code=N`` 202, then the process ends with N (0 to 255)
================== ===========================================================================================

Settings come from the environment: PORT, MESSAGE, VERSION, WEB_ROOT, STARTUP_SECONDS, DRAIN_SECONDS, CRASH. It refuses
to serve anything outside ``WEB_ROOT``.
"""

from __future__ import annotations

import itertools
import mimetypes
import os
import socket
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field

import listener

FILE_BYTES = 16 << 20
LONGEST_WAIT_MS = 10_000


@dataclass(frozen=True)
class Settings:
    """What the environment says, and when the process started."""

    message: str
    version: str
    root: str
    startup_seconds: float
    hostname: str = field(default_factory=socket.gethostname)
    started: float = field(default_factory=time.time)
    started_monotonic: float = field(default_factory=time.monotonic)

    def starting(self) -> bool:
        """Whether the start-up work is still going on."""
        return time.monotonic() - self.started_monotonic < self.startup_seconds


def settings(environment: Mapping[str, str]) -> Settings:
    """The settings of ``environment``; ``ValueError`` for a STARTUP_SECONDS that is not a number."""
    try:
        startup = float(environment.get("STARTUP_SECONDS") or "0")
    except ValueError:
        raise ValueError("STARTUP_SECONDS must be a number, not " + repr(environment["STARTUP_SECONDS"])) from None
    return Settings(
        message=environment.get("MESSAGE") or "Hello",
        version=environment.get("VERSION") or "1.0",
        root=environment.get("WEB_ROOT") or "",
        startup_seconds=startup,
    )


def make_handler(given: Settings) -> type[listener.Handler]:
    """A handler class bound to ``given``."""

    class WebHandler(Web):
        app = given
        served = itertools.count(1)

    return WebHandler


class Web(listener.Handler):
    """Answers the table above."""

    app: Settings
    served: itertools.count[int]

    def route(self, method: str, path: str, query: dict[str, str]) -> None:
        """Answer one request."""
        number = next(self.served)
        content = self.body()
        del content  # read so that the connection can be used again; nothing here takes a body
        if method == "POST":
            self._post(path, query)
        elif method not in ("GET", "HEAD"):
            self.answer(405, "method not allowed\n")
        elif path == "/healthz":
            self.answer(200, "ok\n")
        elif path == "/info":
            self._info(number)
        elif self.app.starting() and path in ("/", "/readyz", "/work", "/wait"):
            self.answer(503, "starting\n")
        elif path == "/readyz":
            self.answer(200, "ready\n")
        elif path == "/work":
            self._work(query)
        elif path == "/wait":
            self._wait(query)
        elif self.app.root:
            self._file(path)
        elif path == "/":
            self.answer(200, f"{self.app.message} from {self.app.hostname}, version {self.app.version}\n")
        else:
            self.answer(404, "not found\n")

    def _post(self, path: str, query: dict[str, str]) -> None:
        if path == "/hang":
            self.server.hanging.set()  # first: whoever has the answer finds it hanging
            self.answer(202, "hanging\n")
        elif path == "/exit":
            code = query.get("code", "0")
            self.answer(202, "exiting\n")
            self.exit_with(int(code) & 255 if code.isdigit() else 0)
        else:
            self.answer(404, "not found\n")

    def _info(self, number: int) -> None:
        app = self.app
        said = {"hostname": app.hostname, "version": app.version, "message": app.message}
        since = {"startup_seconds": app.startup_seconds, "started": app.started}
        self.answer_json(200, {**said, **since, "requests": number, "pid": os.getpid()})

    def _wait(self, query: dict[str, str]) -> None:
        wanted = query.get("ms", "0")
        milliseconds = min(int(wanted), LONGEST_WAIT_MS) if wanted.isdigit() else 0
        time.sleep(milliseconds / 1000)
        self.answer(200, f"waited {milliseconds} ms\n")

    def _work(self, query: dict[str, str]) -> None:
        wanted = query.get("ms", "0")
        milliseconds = min(int(wanted), 1000) if wanted.isdigit() else 0
        until = time.monotonic() + milliseconds / 1000
        while time.monotonic() < until:
            sum(range(500))
        self.answer(200, f"worked {milliseconds} ms\n")

    def _file(self, path: str) -> None:
        """A file below ``WEB_ROOT``: read anew at every request, since another container may be writing it."""
        root = os.path.realpath(self.app.root)
        wanted = urllib.parse.unquote(path).lstrip("/") or "index.html"
        if "\0" in wanted:
            self.answer(404, "not found\n")
            return
        file = os.path.realpath(os.path.join(root, wanted))
        if os.path.commonpath([root, file]) != root:
            self.answer(404, "not found\n")
            return
        try:
            with open(file, "rb") as stream:
                content = stream.read(FILE_BYTES)
        except PermissionError:
            self.answer(403, "forbidden\n")
        except OSError:
            self.answer(404, "not found\n")
        else:
            self.answer(200, content, mimetypes.guess_type(file)[0] or "text/plain; charset=utf-8")
