"""The site as it is really served: a process, threads, live pages that stay open, and an end that does not wait."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import MAIN, Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    site = Served(tmp_path / "home")
    yield site
    site.close()


def test_a_second_site_is_refused_and_commands_work_beside_the_first(served: Served) -> None:
    second = subprocess.run(
        [sys.executable, "-c", MAIN.format(port=0)],
        env=served.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert second.returncode == 1
    assert f"up for this home already at http://127.0.0.1:{served.port} (process {served.process.pid})" in second.stderr
    status = MAIN.format(port=0).replace("'up', '--port', '0'", "'status'")
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
