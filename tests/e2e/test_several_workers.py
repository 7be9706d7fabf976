"""Two processes that answer and one that drives sessions, as one site: on SQLite, and on PostgreSQL if it is here."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from labs.bootstrap import bootstrap
from labs.clusters.registry import Providers
from labs.settings import load
from tests import postgresql
from tests.conftest import unavailable
from tests.served import Served

WAIT_SECONDS = 120.0


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """A site of two workers."""
    with ExitStack() as ends:
        settings = {"KINDLING_WORKERS": "2", "KINDLING_PROVIDERS": "simulated"}
        if request.param == "postgresql":
            if why := postgresql.missing():
                unavailable(why)
            settings["KINDLING_DATABASE_URL"] = ends.enter_context(postgresql.server())
        served = Served(tmp_path / "home", **settings)
        ends.callback(served.close)
        provider: Any = Providers(load(served.environment)).get("simulated")
        ends.callback(provider.shutdown)
        yield served


def events_until(answer: HTTPResponse, wanted: str) -> dict[str, Any]:
    """Read a live page until its cluster's fragment says something."""
    end = threading.Timer(WAIT_SECONDS, answer.close)
    end.start()
    try:
        for line in answer:
            if line.startswith(b"data: "):
                told: dict[str, Any] = json.loads(line[6:])
                if wanted in told["html"]["cluster"]:
                    return told
    finally:
        end.cancel()
    raise AssertionError(f"the page was not told of {wanted!r}")


def get_when_there(site: Served, path: str, cookie: str) -> HTTPResponse:
    """Ask again while the processes are being started."""
    for _ in range(100):
        try:
            return site.get(path, cookie)
        except (HTTPException, OSError):
            continue
    raise AssertionError("the site did not come back")


def test_a_lab_is_started_through_one_and_seen_through_all(site: Served) -> None:
    (cookie,) = site.cookies(1)
    live = [site.get("/labs/pods/events", cookie) for _ in range(6)]
    assert {answer.status for answer in live} == {200}
    assert site.get("/labs/pods/events", cookie).status == 503  # the seventh, whichever process is asked
    assert site.post("/labs/pods/start", cookie, provider="simulated").status == 302
    assert all(events_until(answer, "Ready")["say"] == "The cluster is ready." for answer in live)
    assert len(site.processes()) == 3
    site.process.send_signal(signal.SIGTERM)
    assert site.process.wait(timeout=WAIT_SECONDS) == 0


def test_a_link_is_used_once_whichever_process_is_asked(site: Served) -> None:
    statuses = [site.get(site.link).status for _ in range(6)]
    assert statuses == [302, 403, 403, 403, 403, 403]


def test_processes_that_are_killed_are_started_anew_and_their_work_goes_on(site: Served) -> None:
    (cookie,) = site.cookies(1)
    before = set(site.processes())
    for process in before:
        os.kill(process, signal.SIGKILL)
    assert get_when_there(site, "/labs/pods/", cookie).status == 200
    assert site.post("/labs/pods/start", cookie, provider="simulated").status == 302
    events_until(site.get("/labs/pods/events", cookie), "Ready")  # somebody drives sessions again
    assert not before & set(site.processes())


def test_signing_out_everywhere_reaches_every_process_and_what_is_open(site: Served) -> None:
    (cookie,) = site.cookies(1)
    live = [site.get("/labs/pods/events", cookie) for _ in range(4)]
    assert {answer.status for answer in live} == {200}
    assert site.post("/profile/sign-out-everywhere", cookie).status == 302
    assert {site.get("/profile", cookie).status for _ in range(8)} == {302}
    for answer in live:
        end = threading.Timer(WAIT_SECONDS, answer.close)
        end.start()
        answer.read()  # to its end, which comes
        assert end.is_alive(), "a live page stayed open"
        end.cancel()


def test_wrong_guesses_are_counted_for_all_processes(site: Served) -> None:
    services = bootstrap(load(site.environment))
    services.accounts.register("tom", "a longer phrase")
    services.close()
    statuses = [site.post("/sign-in", "", name="tom", password="wrong").status for _ in range(12)]
    assert statuses == [403] * 10 + [429] * 2


def test_when_the_first_process_is_killed_the_others_end_by_themselves(site: Served) -> None:
    site.cookies(1)
    others = site.processes()
    site.process.kill()
    site.process.wait(timeout=WAIT_SECONDS)
    deadline = time.monotonic() + WAIT_SECONDS
    while any(Path(f"/proc/{process}").exists() for process in others):
        assert time.monotonic() < deadline
        time.sleep(0.1)
