"""The labs' application and the probe, run as the processes they are in a container."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HOME = Path(__file__).parents[5] / "labs" / "images" / "web"

# Real processes on loopback: the programs under test are HTTP servers.
Start = Callable[..., "Server"]


class Server:
    """One process of the image."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, str(HOME / "main.py"), *arguments],
            env={"PATH": os.environ["PATH"], "PORT": str(self.port), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ask(self, path: str, method: str = "GET", body: object = None, timeout: float = 5) -> tuple[int, str]:
        data = None if body is None else json.dumps(body).encode()
        try:
            asked = urllib.request.Request(self.url(path), data=data, method=method)
            with urllib.request.urlopen(asked, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def up(self) -> "Server":
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                if self.ask("/healthz")[0] == 200:
                    return self
            except OSError:
                continue
        raise AssertionError("the server did not come up")

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=15)
        return self.process.returncode, out


@pytest.fixture
def start() -> Iterator[Start]:
    made: list[Server] = []

    def begin(*arguments: str, **environment: str) -> Server:
        made.append(Server(*arguments, **environment))
        return made[-1]

    yield begin
    for server in made:
        server.process.kill()
        server.process.communicate()


def test_it_says_its_message_its_host_and_its_version(start: Start) -> None:
    server = start(MESSAGE="Good evening", VERSION="2.0").up()
    assert server.ask("/") == (200, f"Good evening from {socket.gethostname()}, version 2.0\n")
    assert server.ask("/nothing") == (404, "not found\n")
    assert server.ask("/", "PUT")[0] == 405


def test_defaults(start: Start) -> None:
    assert start().up().ask("/") == (200, f"Hello from {socket.gethostname()}, version 1.0\n")


def test_info_counts_requests(start: Start) -> None:
    server = start().up()
    before = json.loads(server.ask("/info")[1])
    after = json.loads(server.ask("/info")[1])
    assert after["requests"] == before["requests"] + 1
    assert after["pid"] == server.process.pid
    assert after["hostname"] == socket.gethostname()
    assert abs(after["started"] - time.time()) < 30


def test_it_is_not_ready_while_it_starts(start: Start) -> None:
    server = start(STARTUP_SECONDS="1.5").up()
    assert server.ask("/readyz") == (503, "starting\n")
    assert server.ask("/") == (503, "starting\n")
    deadline = time.monotonic() + 10
    while server.ask("/readyz")[0] != 200:
        assert time.monotonic() < deadline
    assert server.ask("/readyz") == (200, "ready\n")
    assert server.ask("/")[0] == 200


def test_it_serves_a_folder_and_nothing_outside(start: Start, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("secret")
    server = start(WEB_ROOT=str(root)).up()
    assert server.ask("/") == (404, "not found\n")
    (root / "index.html").write_text("written later")
    (root / "link").symlink_to(tmp_path / "secret")
    assert server.ask("/") == (200, "written later")
    for path in ("/../secret", "/%2e%2e/secret", "/link", "//etc/passwd", "/%00"):
        assert server.ask(path) == (404, "not found\n"), path


def test_work_takes_the_time_asked_for_and_no_more_than_a_second(start: Start) -> None:
    server = start().up()
    began = time.monotonic()
    assert server.ask("/work?ms=200") == (200, "worked 200 ms\n")
    assert time.monotonic() - began >= 0.2
    assert server.ask("/work?ms=-5") == (200, "worked 0 ms\n")
    assert server.ask("/work?ms=999999")[1] == "worked 1000 ms\n"


def test_a_hanging_server_accepts_and_never_answers_but_ends_at_sigterm(start: Start) -> None:
    server = start(DRAIN_SECONDS="60").up()
    assert server.ask("/hang", "POST")[0] == 202
    with pytest.raises(TimeoutError):
        server.ask("/healthz", timeout=0.3)
    began = time.monotonic()
    code, _ = server.end()
    assert code == 0
    assert time.monotonic() - began < 5


def test_exit_code_and_log(start: Start) -> None:
    server = start().up()
    server.ask("/a%1bb")
    assert server.ask("/exit?code=7", "POST")[0] == 202
    out, _ = server.process.communicate(timeout=10)
    assert server.process.returncode == 7
    assert "GET /healthz 200 to 127.0.0.1\n" in out
    assert "POST /exit?code=7 202 to 127.0.0.1\n" in out


def test_crash_says_why(start: Start) -> None:
    server = start(CRASH="no database")
    out, _ = server.process.communicate(timeout=10)
    assert (server.process.returncode, out) == (1, "fatal: no database\n")


@pytest.mark.parametrize(
    ("arguments", "environment"), [(("prob",), {}), ((), {"STARTUP_SECONDS": "x"}), ((), {"PORT": "99999"})]
)
def test_a_mistyped_setting_is_said_in_the_log(
    start: Start, arguments: tuple[str], environment: dict[str, str]
) -> None:
    server = start(*arguments, **environment)
    out, err = server.process.communicate(timeout=10)
    assert server.process.returncode in (1, 2)
    assert re.match(r"fatal: .+\n", out)
    assert err == ""


def test_sigterm_finishes_requests_in_flight(start: Start) -> None:
    server = start().up()
    answers: list[tuple[int, str]] = []
    under_way = threading.Thread(target=lambda: answers.append(server.ask("/work?ms=800")))
    under_way.start()
    deadline = time.monotonic() + 5
    while json.loads(server.ask("/info")[1])["requests"] < 3:  # healthz, work and this one
        assert time.monotonic() < deadline
    assert server.end()[0] == 0
    under_way.join()
    assert answers == [(200, "worked 800 ms\n")]


def test_it_keeps_answering_while_it_drains(start: Start) -> None:
    server = start(DRAIN_SECONDS="1.5").up()
    server.process.send_signal(signal.SIGTERM)
    began, answered = time.monotonic(), 0
    try:
        while time.monotonic() < began + 10:
            answered += server.ask("/")[0] == 200
    except OSError:  # refused or reset: it no longer listens
        pass
    assert answered > 10
    assert time.monotonic() - began >= 1.4
    assert server.process.wait(10) == 0


def test_the_probe_sends_requests_and_records_them(start: Start) -> None:
    web, probe = start().up(), start("probe").up()
    status, text = probe.ask("/request", "POST", {"url": web.url("/"), "count": 20})
    records = json.loads(text)
    assert status == 200
    assert len(records) == 20
    assert {(one["status"], one["error"]) for one in records} == {(200, "")}
    assert all(one["body"].startswith("Hello from ") and one["ms"] > 0 for one in records)


def test_the_probe_says_why_there_was_no_answer(start: Start) -> None:
    web, probe = start().up(), start("probe").up()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        for url, error in (
            ("http://127.0.0.1:1/", "refused"),
            ("http://no-such-name.invalid/", "name not found"),
            (mute, "timeout"),
            ("ftp://x/", "bad url"),
            ("http://x/a b", "bad url"),
        ):
            (record,) = json.loads(probe.ask("/request", "POST", {"url": url, "timeout_ms": 300})[1])
            if url == "http://no-such-name.invalid/" and record["error"] == "dns unavailable":
                continue  # this machine has no resolver at all
            assert (record["status"], record["error"]) == (0, error), url
    web.ask("/hang", "POST")
    (record,) = json.loads(probe.ask("/request", "POST", {"url": web.url("/"), "timeout_ms": 300})[1])
    assert record["error"] == "timeout"
    assert 250 < record["ms"] < 2000


def test_an_endless_answer_ends_in_time(start: Start) -> None:
    probe = start("probe").up()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                try:
                    while True:
                        connection.sendall(b"x")
                        threading.Event().wait(0.05)
                except OSError:
                    return

        threading.Thread(target=drip, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        (record,) = json.loads(probe.ask("/request", "POST", {"url": url, "timeout_ms": 400})[1])
    assert record["error"] == "timeout"
    assert record["ms"] < 2000


def test_traffic_flows_by_itself_and_hands_back_every_request(start: Start) -> None:
    web, probe = start().up(), start("probe").up()
    status, text = probe.ask("/traffic", "POST", {"url": web.url("/"), "interval_ms": 20, "max": 10_000})
    assert status == 201
    path = "/traffic/" + json.loads(text)["id"]
    deadline = time.monotonic() + 10
    while len(json.loads(probe.ask(path)[1])["records"]) < 20:
        assert time.monotonic() < deadline
    web.process.kill()
    while json.loads(probe.ask(path + "?after=20")[1])["records"][-1:] == []:
        assert time.monotonic() < deadline
    while json.loads(probe.ask(path)[1])["records"][-1]["error"] != "refused":
        assert time.monotonic() < deadline
    ended = json.loads(probe.ask(path, "DELETE")[1])
    assert not ended["running"]
    assert ended["sent"] == len(ended["records"])
    times = [one["t"] for one in ended["records"]]
    assert times == sorted(times)
    assert probe.ask(path)[0] == 404


def test_traffic_stops_at_its_most(start: Start) -> None:
    web, probe = start().up(), start("probe").up()
    name = json.loads(probe.ask("/traffic", "POST", {"url": web.url("/"), "interval_ms": 5, "max": 7})[1])["id"]
    deadline = time.monotonic() + 10
    while (seen := json.loads(probe.ask("/traffic/" + name)[1]))["running"] or len(seen["records"]) < 7:
        assert time.monotonic() < deadline
    assert seen["sent"] == 7


@pytest.mark.parametrize(
    "fields",
    [
        [],
        {},
        {"url": 3},
        {"url": "http://x/", "interval_ms": 0},
        {"url": "http://x/", "max": 10**9},
        {"url": "http://x/", "keepalive": True},
    ],
)
def test_the_probe_refuses_what_is_out_of_bounds(start: Start, fields: object) -> None:
    status, text = start("probe").up().ask("/traffic", "POST", fields)
    assert status == 400
    assert len(text) > 5


def test_a_body_may_come_in_chunks(start: Start) -> None:
    probe = start("probe").up()
    wanted = json.dumps({"url": probe.url("/healthz"), "count": 1}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", probe.port, timeout=5)
    connection.request("POST", "/request", iter([wanted[:5], wanted[5:]]), encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, len(json.loads(answer.read()))) == (200, 1)
    connection.request("GET", "/healthz")  # the connection can be used again
    assert connection.getresponse().read() == b"ok\n"
    connection.close()
