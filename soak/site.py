"""The site as a process of its own, and as a learner's browser asks it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import requests

KINDLING = str(Path(sys.executable).parent / "kindling")
START_SECONDS = 60.0
_ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)$")
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class Site:
    """``kindling up`` on loopback, on a port that it keeps when it is started again."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._port = 0
        self._reader: threading.Thread | None = None
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it says where it is."""
        environment = {**os.environ, "KINDLING_HOME": str(self._home), "KINDLING_LEARNER": "owner", "NO_COLOR": "1"}
        command = [KINDLING, "up", "--port", str(self._port)]
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        timer = threading.Timer(START_SECONDS, self.process.kill)
        timer.start()
        for line in self.process.stdout:
            found = _ADDRESS.search(line.strip())
            if found:
                self._port = int(found[1].rpartition(":")[2])
                break
        timer.cancel()
        if not self._port:
            raise RuntimeError("the site did not start")
        self._reader = threading.Thread(target=self.process.stdout.read, daemon=True)
        self._reader.start()

    def kill(self) -> None:
        """Kill -9 it and all of its processes; a no-op when it does not run."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self._ended()

    def _ended(self) -> None:
        assert self.process is not None
        self.process.wait(30)
        if self._reader is not None:
            self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None

    def stop(self) -> None:
        """End it in good order."""
        if self.process is not None:
            self.process.terminate()
            try:
                self._ended()
            except subprocess.TimeoutExpired:
                self.kill()


class Browser:
    """One learner's: keeps cookies, fills in forms."""

    def __init__(self, url: str, seconds: float = 60) -> None:
        self.url = url
        self._seconds = seconds
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path: str) -> requests.Response:
        """A page."""
        return self.session.get(self.url + path, timeout=self._seconds)

    def post(self, path: str, page: str, **fields: str) -> requests.Response:
        """A form, with the token that ``page`` gave."""
        token = _TOKEN.search(self.get(page).text)
        fields["csrf_token"] = token[1] if token else ""
        return self.session.post(self.url + path, fields, timeout=self._seconds)

    def sign_in(self, name: str, password: str) -> int:
        """With a password; the status of the answer (a page of one's own, 403, 429)."""
        return self.post("/sign-in", "/sign-in", name=name, password=password).status_code
