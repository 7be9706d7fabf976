"""Pods that are taken away are asked themselves, for as long as clients may not have heard of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from grader.answers import Answer, Answers
from grader.errors import ClusterUnreachable
from grader.evidence import Evidence
from grader.objects import Pod
from grader.sampling import SampledClock
from grader.series import Watch
from tests.doubles.clock import SteppedClock

POD, OTHER = (
    Pod({"metadata": {"name": f"web-{one}", "uid": str(one)}, "status": {"podIP": f"10.0.0.{one}"}}) for one in (1, 2)
)


class Double:
    """A cluster with two pods, and its probe. ``dead``: the addresses that answer no more, each after ``refuses``
    seconds."""

    def __init__(self, clock: SteppedClock) -> None:
        self.here = [POD, OTHER]
        self.dead: set[str] = set()
        self.unreachable = False
        self.refuses = 0.1
        self.asked: list[tuple[float, str]] = []
        self._clock = clock

    def pods(self) -> list[Pod]:
        if self.unreachable:
            raise ClusterUnreachable("no answer")
        return list(self.here)

    def requests(self, url: str, n: int, *, timeout: float, kept: bool) -> Answers:
        assert not kept
        ip = url.removeprefix("http://").removesuffix(":8080/")
        self.asked.append((self._clock.now() - self._clock.start, ip))
        sent, error = self._clock.now(), "refused" if ip in self.dead else ""
        if error:
            self._clock.move(min(self.refuses, timeout))
        one = Answer(url, sent, 1.0, 0 if error else 200, error, "")
        return Answers([one] * n)

    def take(self, pod: Pod, *, dead: bool) -> None:
        self.here.remove(pod)
        self.dead |= {pod.ip} if dead else set()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def sampled(clock: SteppedClock) -> SampledClock:
    return SampledClock(clock)


@pytest.fixture
def double(clock: SteppedClock) -> Double:
    return Double(clock)


@pytest.fixture
def evidence(sampled: SampledClock) -> Evidence:
    return Evidence(sampled)


@pytest.fixture
def watch(double: Any, sampled: SampledClock, evidence: Evidence) -> Watch:
    return Watch(double, double, sampled, evidence)


def later(clock: SteppedClock, double: Double, seconds: float, ip: str) -> Callable[[], None]:
    """The pod goes now, and serves for some seconds more."""

    def go() -> None:
        double.here.remove(next(one for one in double.here if one.ip == ip))
        clock.at(clock.now() - clock.start + seconds, lambda: double.dead.add(ip))

    return go


def test_who_serves_on_has_answered_everything(
    clock: SteppedClock, sampled: SampledClock, double: Double, watch: Watch, evidence: Evidence
) -> None:
    clock.at(2.1, later(clock, double, 3.0, POD.ip))
    with watch.leaving([POD, OTHER], seconds=3) as leaving:
        sampled.sleep(20)
    assert leaving.gone == ["web-1"]
    assert {ip for _, ip in double.asked} == {POD.ip}
    assert [round(at, 1) for at, _ in double.asked] == [2.5, 3.0, 3.5, 4.0, 4.5]
    assert len(leaving.answers) == 20
    assert not leaving.answers.failed
    (kept,) = evidence.entries
    assert (kept["what"], kept["pods"], kept["after"], kept["requests"]) == ("leaving", ["web-1"], 3, 20)
    assert evidence.measures == {"failed requests": 0}


@pytest.mark.parametrize("refuses", [0.1, 60.0])
@pytest.mark.parametrize("serves", [0.0, 1.0, 2.0])
def test_who_does_not_is_found_out_however_soon_it_is_gone(
    clock: SteppedClock,
    double: Double,
    sampled: SampledClock,
    watch: Watch,
    evidence: Evidence,
    serves: float,
    refuses: float,
) -> None:
    double.refuses = refuses
    clock.at(1.4, later(clock, double, serves, OTHER.ip))
    with watch.leaving([POD, OTHER], seconds=3) as leaving:
        sampled.sleep(10)
    assert len(leaving.answers.failed) == 4
    assert leaving.answers[-1].error == "refused"
    assert evidence.measures == {"failed requests": 4}
    assert not any(at > 1.4 + serves + 0.7 for at, _ in double.asked)


def test_the_block_ends_when_the_last_of_them_has_been_asked_to_the_end(
    clock: SteppedClock, double: Double, watch: Watch
) -> None:
    with watch.leaving([POD, OTHER], seconds=3):
        double.take(POD, dead=False)
    assert 3 <= clock.now() - clock.start <= 3.6
    assert [round(at, 1) for at, _ in double.asked] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]


def test_the_block_ends_at_once_when_nobody_has_gone_or_it_has_failed(
    clock: SteppedClock, double: Double, watch: Watch, evidence: Evidence
) -> None:
    with watch.leaving([POD, OTHER], seconds=3):
        pass
    with pytest.raises(AssertionError):
        _leave_and_fail(double, watch)
    with watch.leaving([], seconds=3):
        double.take(OTHER, dead=False)
    assert clock.now() == clock.start
    assert double.asked == []
    assert [one["pods"] for one in evidence.entries] == [[], []]


def _leave_and_fail(double: Double, watch: Watch) -> None:
    with watch.leaving([POD, OTHER], seconds=3):
        double.take(POD, dead=False)
        raise AssertionError


def test_a_look_that_the_cluster_does_not_answer_is_a_gap_that_ends(
    clock: SteppedClock, sampled: SampledClock, double: Double, watch: Watch
) -> None:
    clock.at(2.2, lambda: double.take(POD, dead=False))
    clock.at(2.3, lambda: setattr(double, "unreachable", True))
    clock.at(3.2, lambda: setattr(double, "unreachable", False))
    with watch.leaving([POD, OTHER], seconds=3) as leaving:
        sampled.sleep(4)
        double.unreachable = True
    assert [round(at, 1) for at, _ in double.asked] == [3.5, 4.0]
    assert leaving.gone == ["web-1"]
    assert clock.now() - clock.start <= 8
