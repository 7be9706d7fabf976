"""The site as it is really served, for tests that talk to it over HTTP as a browser does."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

from labs.bootstrap import bootstrap
from labs.settings import load

ROOT = Path(__file__).resolve().parents[1]
MAIN = "import sys; from labs.cli.main import main; sys.argv = ['kindling', 'up', '--port', '{port}']; main()"


class Served:
    """A site of its own; ``link`` is the path that signs in, ``settings`` further variables of its environment."""

    def __init__(self, home: Path, **settings: str) -> None:
        port = free_port() if "KINDLING_PUBLIC_URL" in settings else 0  # which is not in the link that it prints
        self.home = home
        environment = {
            **os.environ,
            "KINDLING_HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            **settings,
        }
        self.environment = environment
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN.format(port=port)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            line = self.process.stdout.readline()
            assert line, self.process.communicate()
            said += line
        found = re.search(r"https?://[^/\s:]+(?::(\d+))?(/login/\S+)", said)
        assert found, said
        self.port, self.link = port or int(found[1]), found[2]
        self._connections: list[http.client.HTTPConnection] = []
        self._answers: list[http.client.HTTPResponse] = []

    def get(self, path: str, cookie: str = "") -> http.client.HTTPResponse:
        """The answer, its body unread."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self._connections.append(connection)
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        self._answers.append(answer)
        return answer

    def cookies(self, learners: int) -> list[str]:
        """So many learners, signed in."""
        services = bootstrap(load(self.environment))
        try:
            names = [services.accounts.ensure(f"learner{number}").name for number in range(learners)]
            links = [f"/login/{services.accounts.login_link(name)}" for name in names]
        finally:
            services.close()
        return [(self.get(link).headers["Set-Cookie"] or "").partition(";")[0] for link in links]

    def close(self) -> None:
        """End it, whatever it is at."""
        for one in (*self._answers, *self._connections):
            one.close()
        self.process.kill()
        self.process.communicate(timeout=30)

    def post(self, path: str, cookie: str, **fields: str) -> http.client.HTTPResponse:
        """Send a form, with the token of a page."""
        shown = self.get("/", cookie)
        page, added = shown.read().decode(), (shown.headers["Set-Cookie"] or "").partition(";")[0]
        cookie = "; ".join(filter(None, (cookie, added)))
        token = re.search(r'name="csrf-token" content="([^"]+)"', page)
        assert token, page
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self._connections.append(connection)
        headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, urlencode({"csrf_token": token[1], **fields}), headers)
        answer = connection.getresponse()
        self._answers.append(answer)
        return answer

    def processes(self) -> list[int]:
        """The processes that are there beside the first."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(each) for each in listed.split()]


def free_port() -> int:
    """A port of loopback that nobody has at this moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
