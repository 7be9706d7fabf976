"""Following pods over time: looked at whenever a check waits, with the arithmetic of steps."""

from __future__ import annotations

from typing import Any

import pytest

from grader import clock as clocks
from grader.cluster import Cluster
from grader.connection import Connection
from grader.evidence import Evidence
from grader.probe import Probe
from grader.probe_pod import ProbePod
from grader.sampling import SampledClock
from grader.series import Sample, Series, Watch
from grader.waiting import hold, poll
from tests.doubles.api_server import CORE, answered, pod
from tests.doubles.clock import SteppedClock


def stepped(*parts: tuple[float, int]) -> Series:
    """A series of (t, ready replicas)."""
    return Series([Sample(t, ready, ready, 0, 1) for t, ready in parts], end=parts[-1][0] + 1 if parts else None)


class TestSteps:
    def test_a_value_holds_until_the_next(self) -> None:
        assert stepped((0.0, 2), (10.0, 4), (15.0, 0)).total("replicas") == 2 * 10 + 4 * 5

    def test_changes_of_direction(self) -> None:
        assert stepped((0.0, 1), (1.0, 3), (2.0, 3), (3.0, 5)).turns("ready") == 0
        assert stepped((0.0, 1), (1.0, 3), (2.0, 3), (3.0, 1), (4.0, 2)).turns("ready") == 2

    def test_extremes_and_firsts(self) -> None:
        seen = stepped((0.0, 2), (5.0, 1), (7.0, 3))
        assert (seen.lowest("ready"), seen.highest("ready"), str(seen)) == (1, 3, "1 to 3 of up to 3 replicas ready")
        assert seen.first(lambda one: one.ready == 3) == 7.0
        assert seen.first(lambda one: one.ready == 2, since=1.0) is None
        assert seen.since(5.0).values("ready") == [1, 3]

    def test_of_nothing(self) -> None:
        seen = Series()
        assert (seen.total("ready"), seen.turns("ready"), seen.lowest("ready"), str(seen)) == (
            0,
            0,
            0,
            "nothing was seen",
        )
        assert seen.record()["rows"] == []


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def sampled(clock: SteppedClock) -> SampledClock:
    return SampledClock(clock)


@pytest.fixture
def evidence(sampled: SampledClock) -> Evidence:
    return Evidence(sampled)


@pytest.fixture
def watch(scripted: Any, clock: SteppedClock, sampled: SampledClock, evidence: Evidence) -> Watch:
    connection = Connection(scripted.kubeconfig, patience=0.0)
    made = ProbePod(connection, "default", "a", "kindling/web:1.0", 30, clock)
    return Watch(Cluster(connection, "default"), Probe(made, evidence, sampled), sampled, evidence)


def has(scripted: Any, *names: str, ready: bool = True, restarts: int = 0) -> None:
    for path in [path for path in scripted.objects if path.startswith(f"{CORE}/pods/")]:
        del scripted.objects[path]
    for name in names:
        scripted.objects[f"{CORE}/pods/{name}"] = pod(name, labels={"app": "web"}, ready=ready, restarts=restarts)


def test_it_looks_while_a_check_sleeps(scripted: Any, clock: SteppedClock, sampled: SampledClock, watch: Watch) -> None:
    has(scripted, "a", "b")
    clock.at(4.5, lambda: has(scripted, "a", "b", "c", ready=False))
    with watch.series("app=web", every=1.0) as series:
        sampled.sleep(10)
    assert series.end == clock.now() == clock.start + 10
    assert series.values("replicas") == [2] * 5 + [3] * 6 + [3]
    assert series.values("ready") == [2] * 5 + [0] * 7
    assert series.values("nodes") == [1] * 12
    assert series.values("ms") == []


def test_it_looks_while_a_check_polls_and_holds(
    scripted: Any, clock: SteppedClock, sampled: SampledClock, watch: Watch
) -> None:
    has(scripted, "a")
    with clocks.used(sampled), watch.series({"app": "web"}, every=0.5) as series:
        poll(lambda: clock.now() - clock.start >= 2, 10)
        hold(lambda: True, 2)
    assert len(series.samples) in range(7, 11)


def test_restarts_are_those_since_it_began_of_all_pods_there_were(
    scripted: Any, clock: SteppedClock, sampled: SampledClock, watch: Watch
) -> None:
    has(scripted, "a", restarts=7)
    clock.at(2.5, lambda: has(scripted, "a", restarts=9))
    clock.at(5.5, lambda: has(scripted, "b", restarts=1))
    with watch.series("app=web") as series:
        sampled.sleep(8)
    assert series.values("restarts") == [0, 0, 0, 2, 2, 2, 3, 3, 3, 3]


def test_what_the_cluster_does_not_answer_is_a_gap(
    scripted: Any, clock: SteppedClock, sampled: SampledClock, watch: Watch
) -> None:
    has(scripted, "a")
    clock.at(1.5, lambda: setattr(scripted, "gone", True))
    clock.at(4.5, lambda: setattr(scripted, "gone", False))
    with watch.series("app=web") as series:
        sampled.sleep(6)
    assert [one.t - clock.start for one in series.samples] == [0, 1, 5, 6, 6]


def test_latency_is_that_of_one_request_a_look(
    scripted: Any, clock: SteppedClock, sampled: SampledClock, watch: Watch, evidence: Evidence
) -> None:
    has(scripted, "a")
    clock.at(1.5, lambda: setattr(scripted, "answer_url", lambda method, url: answered(0, error="refused")))
    with watch.series("app=web", url="http://web/") as series:
        sampled.sleep(2)
    assert series.values("ms") == [1.0, 1.0, float("inf"), float("inf")]
    (kept,) = evidence.entries
    assert (kept["what"], kept["selector"], kept["from"]) == ("series", "app=web", 0.0)
    assert kept["rows"] == [[0.0, 1, 1, 0, 1, 1.0], [2.0, 1, 1, 0, 1, None], [2.0, 1, 1, 0, 1, None]]


def test_nobody_looks_once_it_is_over(scripted: Any, clock: SteppedClock, sampled: SampledClock, watch: Watch) -> None:
    with watch.series("app=web"):
        pass
    seen = len(scripted.seen)
    sampled.sleep(60)
    assert len(scripted.seen) == seen
    assert clock.sleeps[-1] == 60
