"""Load and reachability: the image's probe and the simulator's twin of it do the same."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.labs.images.web.probe_twins import TWINS, App, Twin


@pytest.fixture(params=TWINS)
def twin(request: pytest.FixtureRequest) -> Iterator[Twin]:
    made = TWINS[request.param]()
    yield made
    made.close()


class Flow:
    """Traffic of the probe's."""

    def __init__(self, twin: Twin, url: str, **fields: Any) -> None:
        self._twin = twin
        status, said = twin.ask("POST", "/traffic", {"url": url, **fields})
        assert status == 201, said
        self._path = "/traffic/" + said["id"]

    def seen(self, after: int = 0) -> dict[str, Any]:
        return dict(self._twin.ask("GET", f"{self._path}?after={after}")[1])

    def until_sent(self, count: int) -> None:
        self._twin.until(lambda: len(self.seen()["records"]) >= count)

    def ended(self) -> list[dict[str, Any]]:
        """Every record, once all of it was sent and answered."""
        self._twin.until(lambda: not self.seen()["running"])
        return self.stop()

    def stop(self) -> list[dict[str, Any]]:
        said = self._twin.ask("DELETE", self._path)[1]
        assert said["sent"] == len(said["records"])
        return list(said["records"])


def served(app: App, twin: Twin) -> int:
    """How many requests an application has had before this one."""
    (record,) = twin.ask("POST", "/request", {"url": app.url + "info"})[1]
    return int(str(record["body"]).split('"requests": ')[1].split(",")[0]) - 1


def words(records: list[dict[str, Any]]) -> set[str]:
    return {one["error"] or str(one["status"]) for one in records}


def test_phases_send_as_many_requests_as_their_rates_come_to(twin: Twin) -> None:
    phases = [{"seconds": 0.5, "rate": 20}, {"seconds": 0.5, "rate": 20, "to": 100}, {"seconds": 0.3, "rate": 0}]
    flow = Flow(twin, twin.app().url, phases=phases)
    records = flow.ended()
    assert len(records) == 10 + 30
    assert words(records) == {"200"}
    times = [one["t"] for one in records]
    assert times == sorted(times)


def test_a_load_says_when_it_began(twin: Twin) -> None:
    flow = Flow(twin, twin.app().url, phases=[{"seconds": 0.2, "rate": 50}])
    began = flow.seen()["began"]
    assert abs(flow.ended()[0]["t"] - began) < 5


@pytest.mark.parametrize("connections", [0, 3])
def test_requests_are_counted_from_when_they_were_due_and_sent_all(twin: Twin, connections: int) -> None:
    app = twin.app()
    before = served(app, twin)
    phases = [{"seconds": 0.4, "rate": 100}]
    assert words(Flow(twin, app.url, phases=phases, connections=connections).ended()) == {"200"}
    assert served(app, twin) == before + 1 + 40


def test_a_kept_connection_stays_with_its_server_and_goes_to_the_next_when_that_ends(twin: Twin) -> None:
    """An idle connection that was closed is no failure, as it is none for any client."""
    app = twin.app()
    flow = Flow(twin, app.url, interval_ms=20, connections=2)
    flow.until_sent(10)
    app.end(signal.SIGTERM)
    twin.until(lambda: flow.seen()["records"][-1]["error"] == "refused")
    records = flow.stop()
    assert words(records) <= {"200", "refused"}
    first = next(at for at, one in enumerate(records) if one["error"])
    assert {one["error"] for one in records[first:]} == {"refused"}


def test_a_draining_server_tells_its_clients_to_open_new_connections(twin: Twin) -> None:
    app = twin.app(DRAIN_SECONDS="1")
    flow = Flow(twin, app.url, interval_ms=20, connections=2)
    flow.until_sent(5)
    app.end(signal.SIGTERM)
    twin.until(lambda: flow.seen()["records"][-1]["error"] == "refused")
    records = flow.stop()
    assert words(records) == {"200", "refused"}
    assert sum(not one["error"] for one in records) > 20


def test_a_request_that_a_server_had_for_long_when_it_died_has_failed(twin: Twin) -> None:
    """It is not sent again, on whatever connection it was: the server may have done what it was asked."""
    app = twin.app()
    flow = Flow(twin, app.url, interval_ms=20, connections=2, timeout_ms=20_000)
    flow.until_sent(4)
    assert app.post("/hang") == 202
    held = flow.seen()["sent"]
    twin.until(lambda: flow.seen()["sent"] > held + 50)
    app.end(signal.SIGKILL)
    lost = [one for one in flow.stop() if one["error"]]
    assert [one["error"] for one in lost[:2]] == ["reset", "reset"]
    assert {one["error"] for one in lost[2:]} <= {"refused", "reset"}  # the kernel may have taken some connections
    assert not any(one.get("again") for one in lost[:2])


def test_one_that_is_due_while_all_connections_are_taken_waits_and_the_waiting_counts(twin: Twin) -> None:
    app = twin.app()
    phases = [{"seconds": 0.3, "rate": 10}]
    records = Flow(twin, app.url + "work?ms=300", phases=phases, connections=1, timeout_ms=9000).ended()
    assert words(records) == {"200"}
    assert [one["ms"] > 250 + 150 * number for number, one in enumerate(records)] == [True] * 3


def test_what_is_no_url_is_recorded_as_such(twin: Twin) -> None:
    for connections in (0, 2):
        records = Flow(twin, "ftp://x/", phases=[{"seconds": 0.1, "rate": 50}], connections=connections).ended()
        assert words(records) == {"bad url"}
        assert len(records) == 5


@pytest.mark.parametrize(
    "fields",
    [
        {"phases": []},
        {"phases": {}},
        {"phases": [1]},
        {"phases": [{"seconds": 0, "rate": 1}]},
        {"phases": [{"seconds": 1, "rate": 201}]},
        {"phases": [{"seconds": 1, "rate": 1, "to": -1}]},
        {"phases": [{"seconds": 1, "rate": 0}]},
        {"phases": [{"seconds": 3600, "rate": 200}]},
        {"phases": [{"seconds": 1, "rate": 1}] * 51},
        {"connections": 65},
        {"connections": -1},
        {"connections": True},
        {"keepalive": True},
    ],
)
def test_what_is_out_of_bounds_is_refused_with_the_reason(twin: Twin, fields: dict[str, Any]) -> None:
    status, said = twin.ask("POST", "/traffic", {"url": "http://127.0.0.1/", **fields})
    assert status == 400
    assert len(said) > 10


def test_reaching(twin: Twin) -> None:
    host, port = twin.app().address
    targets = [
        {"host": host, "port": port},
        {"host": host, "port": 1, "protocol": "TCP"},
        {"host": host, "port": port, "protocol": "TCP"},
    ]
    status, said = twin.ask("POST", "/reach", {"targets": targets, "timeout_ms": 1000})
    assert status == 200
    assert [one["error"] for one in said] == ["", "refused", ""]
    assert all(one["ms"] >= 0 for one in said)


@pytest.mark.parametrize(
    "target",
    [
        {"host": "", "port": 80},
        {"host": "a b", "port": 80},
        {"host": 3, "port": 80},
        {"host": "x", "port": 0},
        {"host": "x", "port": 65536},
        {"host": "x", "port": 80, "protocol": "UDP"},
        {"host": "x", "port": 53, "protocol": "SCTP"},
        "x",
    ],
)
def test_what_cannot_be_reached_for_is_refused(twin: Twin, target: object) -> None:
    assert twin.ask("POST", "/reach", {"targets": [target]})[0] == 400
