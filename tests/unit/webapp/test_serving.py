"""The site as it is really served: a process, threads, live pages that stay open, and an end that does not wait."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labs.bootstrap import bootstrap
from labs.settings import load

ROOT = Path(__file__).resolve().parents[3]
MAIN = "import sys; from labs.cli.main import main; sys.argv = ['kindling', 'up', '--port', '0']; main()"


class Served:
    """A site of its own; ``link`` is the path that signs in."""

    def __init__(self, home: Path) -> None:
        environment = {
            **os.environ,
            "KINDLING_HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }
        self.environment = environment
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            line = self.process.stdout.readline()
            assert line, self.process.communicate()
            said += line
        found = re.search(r"http://127\.0\.0\.1:(\d+)(/login/\S+)", said)
        assert found, said
        self.port, self.link = int(found[1]), found[2]
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


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    site = Served(tmp_path / "home")
    yield site
    site.close()


def test_a_second_site_is_refused_and_commands_work_beside_the_first(served: Served) -> None:
    second = subprocess.run(
        [sys.executable, "-c", MAIN], env=served.environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert second.returncode == 1
    assert f"up for this home already at http://127.0.0.1:{served.port} (process {served.process.pid})" in second.stderr
    status = MAIN.replace("'up', '--port', '0'", "'status'")
    command = subprocess.run(
        [sys.executable, "-c", status], env=served.environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (command.returncode, command.stderr) == (0, "")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_class_with_a_page_open_each_is_served_and_the_end_does_not_wait(served: Served, how: signal.Signals) -> None:
    signed_in = served.cookies(10)
    live = [served.get("/labs/pods/events", cookie) for cookie in signed_in for _ in range(3)]
    assert {answer.status for answer in live} == {200}
    assert [answer.readline() for answer in live] == [b"retry: 2000\n"] * 30
    assert served.get("/labs/pods/", signed_in[0]).status == 200
    served.process.send_signal(how)
    assert served.process.wait(timeout=120) == 0
    assert all(b"event: change" in answer.read() for answer in live)  # each to its end: none was cut off
