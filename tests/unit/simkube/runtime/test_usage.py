"""Processor time and memory of containers, as they are counted on the clock."""

from __future__ import annotations

import pytest

from simkube.clock.clock import Clock
from simkube.runtime.machine import Machine
from simkube.runtime.usage import EVER, Processors

START = 1_767_225_600.0
"""A moment at which the metrics server looks."""


def test_work_takes_as_long_as_it_needs() -> None:
    clock = Clock(START)
    processors = Processors(clock, 4.0)
    done = processors.run(2.0)
    clock.advance(1.9)
    assert not done.done
    clock.advance(0.2)
    assert done.done
    assert processors.total == pytest.approx(2.0)


def test_a_limit_is_shared_by_all_who_are_busy() -> None:
    clock = Clock(START)
    processors = Processors(clock, 0.5)
    first, second = processors.run(1.0), processors.run(2.0)
    clock.advance(3.9)
    assert not first.done
    clock.advance(0.2)
    assert first.done
    clock.advance(1.8)
    assert not second.done
    clock.advance(0.2)
    assert second.done, "the rest of it had the whole limit: 1 s of 2 s left at half a processor"


def test_whoever_gives_up_leaves_the_rest_more() -> None:
    clock = Clock(START)
    processors = Processors(clock, 1.0)
    first, second = processors.run(5.0), processors.run(1.0)
    first.on_cancel()
    clock.advance(1.01)
    assert second.done
    assert processors.busy == 0


def test_a_sample_is_of_the_last_whole_window() -> None:
    clock = Clock(START)
    processors = Processors(clock, 4.0)
    processors.run(7.5)
    clock.advance(14.0)
    assert processors.sample(START, 10) is None, "nobody has looked yet"
    clock.advance(2.0)
    sample = processors.sample(START, 10)
    assert sample is not None
    assert (sample.at, sample.window, sample.cores, sample.memory) == (START + 15, 15.0, pytest.approx(0.5), 10)
    clock.advance(100.0)
    later = processors.sample(START, 10)
    assert later is not None
    assert (later.at, later.cores) == (START + 105, 0.0)


def test_a_young_container_is_measured_since_its_start() -> None:
    clock = Clock(START + 4)
    processors = Processors(clock, 4.0)
    processors.run(100.0)
    clock.advance(12.0)
    sample = processors.sample(START + 4, 0)
    assert sample is not None
    assert (sample.window, sample.cores) == (11.0, pytest.approx(1.0))
    assert Processors(clock, 4.0).sample(START + 6, 0) is None


def test_the_machine_says_when_its_memory_is_scarce_and_when_it_is_gone() -> None:
    memory = Machine(START, 4.0, 2 << 30).memory
    told: list[str] = []
    memory.mark = 100 << 20
    memory.scarce = lambda: told.append("scarce")
    memory.exhausted = lambda: told.append("exhausted")
    memory.hold(1 << 30)
    assert told == []
    memory.hold(memory.available - (50 << 20))
    assert told == ["scarce"]
    memory.hold(60 << 20)
    assert told == ["scarce", "scarce", "exhausted"]


def test_whoever_gave_up_is_forgotten() -> None:
    processors = Processors(Clock(START), 4.0)
    for _ in range(1000):
        processors.run(EVER).on_cancel()
    assert len(processors._heap) < 50
    assert processors.busy == 0
