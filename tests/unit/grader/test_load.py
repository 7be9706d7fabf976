"""Load through phases: what is asked of the probe, and the arithmetic of what comes back."""

from __future__ import annotations

import math
import urllib.parse
from typing import Any

import pytest

from grader import Phase
from grader.answers import Answer, Answers, answers
from grader.connection import Connection
from grader.evidence import Evidence
from grader.probe import Probe
from grader.probe_pod import ProbePod
from tests.doubles.api_server import answered
from tests.doubles.clock import SteppedClock


def many(*parts: tuple[float, float, int, str]) -> Answers:
    """Answers of (t, ms, status, body)."""
    return Answers(
        Answer("http://web/", t, ms, status, "" if status else "refused", body) for t, ms, status, body in parts
    )


class TestArithmetic:
    def test_percentiles_are_those_of_the_good_ones_by_nearest_rank(self) -> None:
        seen = many(*((float(at), float(at), 200, "") for at in range(1, 101)), (0.0, 9999.0, 503, ""))
        assert [seen.percentile(part) for part in (0, 50, 95, 99, 100)] == [1, 50, 95, 99, 100]
        assert many((0.0, 7.0, 200, "")).percentile(95) == 7

    def test_without_a_good_answer_no_time_is_short_enough(self) -> None:
        assert many((0.0, 1.0, 0, "")).percentile(95) == math.inf
        assert Answers(()).percentile(50) == math.inf

    def test_they_are_counted_by_replica_and_by_version(self) -> None:
        seen = many(
            (0.0, 1.0, 200, "Hello from web-b, version 2.0"),
            (1.0, 1.0, 200, "Hello from web-a, version 1.0"),
            (2.0, 1.0, 200, "Hello from web-a, version 1.0"),
            (3.0, 1.0, 200, "something else"),
        )
        assert {name: len(these) for name, these in seen.by_host.items()} == {"web-a": 2, "web-b": 1}
        assert {name: len(these) for name, these in seen.by_version.items()} == {"1.0": 2, "2.0": 1}

    def test_rates_over_time_have_no_holes(self) -> None:
        seen = many((10.0, 1.0, 200, ""), (10.9, 1.0, 0, ""), (13.0, 1.0, 200, ""))
        windows = seen.over_time(1.0)
        assert [(one.t, one.rate, len(one.answers.failed)) for one in windows] == [
            (10.0, 2.0, 1),
            (11.0, 0.0, 0),
            (12.0, 0.0, 0),
            (13.0, 1.0, 0),
        ]
        assert Answers(()).over_time() == []

    def test_between(self) -> None:
        seen = many((1.0, 1.0, 200, ""), (2.0, 1.0, 200, ""), (3.0, 1.0, 200, ""))
        assert [one.t for one in seen.between(1.0, 3.0)] == [1.0, 2.0]

    @pytest.mark.parametrize("seconds", [1, 59, 600, 100_000])
    def test_what_is_kept_to_be_plotted_is_bounded_and_loses_nothing(self, seconds: int) -> None:
        seen = many(*((at * seconds / 500, 1.0, 200 if at % 5 else 0, "") for at in range(500)))
        kept = seen.record(most=20)
        assert len(kept["windows"]) <= 125
        assert sum(one[1] for one in kept["windows"]) == 500
        assert sum(one[2] for one in kept["windows"]) == 100
        assert len(kept["rows"]) == 20
        assert kept["ms"] == {"p50": 1.0, "p95": 1.0, "p99": 1.0}


class ScriptedLoad:
    """What the probe of a scripted cluster says of its one flow, by the clock."""

    def __init__(self, scripted: Any, clock: SteppedClock) -> None:
        self.asked: list[dict[str, Any]] = []
        self._scripted, self._clock, self._usual = scripted, clock, scripted.handle
        scripted.handle = self.handle

    def handle(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        path, _, query = target.partition("/proxy")[2].partition("?")
        if path == "/traffic" and method == "POST":
            self.asked.append(body)
            self._began = self._clock.now()
            return 201, self._scripted.said(target, {"id": "a"})
        if path.startswith("/traffic/a"):
            after = int(dict(urllib.parse.parse_qsl(query))["after"])
            sent = int(min(self._clock.now() - self._began, 10.0) * 2)
            records = [
                answered(200, f"Hello from web-{at % 2}, version 1.0", t=self._began + at / 2) for at in range(sent)
            ]
            running = method == "GET" and sent < 20
            seen = {"running": running, "began": self._began, "sent": sent, "records": records[after:]}
            return 200, self._scripted.said(target, seen)
        usual: tuple[int, Any] = self._usual(method, target, body)
        return usual


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


def probe_of(scripted: Any, clock: SteppedClock) -> tuple[Probe, Evidence]:
    evidence = Evidence(clock)
    pod = ProbePod(Connection(scripted.kubeconfig, patience=0.0), "default", "a", "kindling/web:1.0", 30, clock)
    return Probe(pod, evidence, clock), evidence


def test_a_load_is_the_probes_own_and_waited_for_in_the_clusters_time(scripted: Any, clock: SteppedClock) -> None:
    told = ScriptedLoad(scripted, clock)
    probe, evidence = probe_of(scripted, clock)
    with probe.load("http://web/", [Phase(4, 2), Phase(6, 2, to=2)], connections=3, timeout=1.5) as load:
        assert len(load.answers()) == 0
        clock.sleep(3)
        assert len(load.answers()) == 6
        seen = load.wait()
    assert told.asked == [
        {
            "url": "http://web/",
            "phases": [{"seconds": 4, "rate": 2, "to": 2}, {"seconds": 6, "rate": 2, "to": 2}],
            "connections": 3,
            "timeout_ms": 1500.0,
        }
    ]
    assert len(seen) == 20
    assert [len(load.phase(0)), len(load.phase(1)), len(load.phase(-1))] == [8, 12, 12]
    assert 10 <= clock.now() - clock.start < 12
    (kept,) = evidence.entries
    assert (kept["what"], kept["from"], kept["connections"]) == ("load", 0.0, 3)
    assert kept["by_host"] == {"web-0": 10, "web-1": 10}


def test_a_request_that_was_sent_twice_says_so() -> None:
    (one,) = answers("http://web/", [{**answered(200, "x"), "again": True}])
    assert one.again
    assert not answers("http://web/", [answered(200, "x")])[0].again
