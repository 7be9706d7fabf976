"""A worker that hangs is told from one that is slow; times are given, nothing waits."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from simkube.host import memory, workers
from simkube.host.memory import Activity
from simkube.host.watchdog import COMPUTING_SECONDS, STARTING_SECONDS, Pulse

Life = Callable[[float], Activity | None]
"""What a worker does at a time."""


def judged(life: Life, seconds: float, *, resumed: bool = True, clusters: int = 0) -> str:
    """What is said of a worker that was well at 0 and has said nothing since; looked at four times a second."""
    pulse = Pulse(0.0)
    pulse.beat(0.0, clusters, resumed=resumed)
    for step in range(int(seconds * 4) + 1):
        if found := pulse.hangs(step / 4, life(step / 4)):
            return found
    return ""


def test_one_that_wants_to_run_and_may_not_is_only_slow() -> None:
    assert judged(lambda now: Activity("R", now / 100), 120) == ""


def test_one_that_waits_for_a_disk_is_only_slow() -> None:
    assert judged(lambda _: Activity("D", 1.0), 120) == ""


def test_one_that_computes_without_end_hangs() -> None:
    assert "has computed for" in judged(lambda now: Activity("R", now), COMPUTING_SECONDS + 1)
    assert judged(lambda now: Activity("R", now), COMPUTING_SECONDS - 0.5) == ""


def test_many_clusters_may_take_longer() -> None:
    assert judged(lambda now: Activity("R", now), COMPUTING_SECONDS + 1, clusters=1000) == ""


def test_bringing_clusters_back_may_take_long() -> None:
    assert judged(lambda now: Activity("R", now), STARTING_SECONDS - 1, resumed=False) == ""
    assert "has computed for" in judged(lambda now: Activity("R", now), STARTING_SECONDS + 1, resumed=False)


def test_one_that_was_stopped_hangs() -> None:
    assert "has been stopped" in judged(lambda _: Activity("T", 1.0), 2)


def test_one_that_sleeps_with_its_word_overdue_hangs() -> None:
    assert "has slept" in judged(lambda _: Activity("S", 1.0), 5)


def test_one_that_says_something_every_now_and_then_is_well() -> None:
    pulse = Pulse(0.0)
    for step in range(1000):
        pulse.beat(step / 4, 0, resumed=True)
        assert pulse.hangs(step / 4 + 0.1, Activity("S", 1.0)) == ""


def test_without_knowing_what_it_does_only_a_long_silence_counts() -> None:
    assert judged(lambda _: None, 20) == ""
    assert "has said nothing" in judged(lambda _: None, 40)


def test_the_system_says_what_this_process_does() -> None:
    found = memory.activity(os.getpid())
    assert found is not None
    assert found.state == "R"
    assert (memory.resident(os.getpid()) or 0) > 1 << 20
    assert memory.activity(2**22 + 1) is None


@pytest.mark.parametrize(("lives", "seconds"), [(0, 0.0), (1, 0.0), (2, 0.5), (4, 2.0), (50, 30.0)])
def test_one_that_ends_again_and_again_is_started_ever_later(lives: int, seconds: float) -> None:
    assert workers.rest(lives) == seconds
