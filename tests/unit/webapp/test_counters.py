"""Counters that processes share: counted once, ended in time, given back by who was killed, and never more of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from webapp.counters import NEAR, Counters

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = "import os, signal; from webapp.counters import Counters; counters = Counters()"


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def alone(program: str) -> str:
    """What a program says in a process of its own, which has no threads and may be forked."""
    command = [sys.executable, "-c", PROGRAM + program]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd=ROOT).stdout.strip()


def test_what_other_processes_count_is_counted() -> None:
    said = alone(
        """
for _ in range(4):
    if not os.fork():
        for _ in range(100):
            counters.add("ada", 60, 1)
        os._exit(0)
assert [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(4)] == [0] * 4
print(counters.count("ada"))
"""
    )
    assert said == "400"


def test_one_that_is_killed_while_it_counts_holds_up_nobody() -> None:
    said = alone(
        """
if not os.fork():
    with counters._locked():
        os.kill(os.getpid(), signal.SIGKILL)
print(os.waitstatus_to_exitcode(os.wait()[1]), counters.add("ada", 60, 1))
"""
    )
    assert said == "-9 1"


def test_a_counter_ends_and_begins_anew(time: Time) -> None:
    counters = Counters(now=time, wall=time)
    assert [counters.add("ada", 60, 1) for _ in range(3)] == [1, 2, 3]
    assert counters.ends("ada") == 1060
    assert counters.count("bob") == 0
    time.now = 1059.9
    assert counters.add("ada", 60, 1) == 4
    time.now = 1060
    assert (counters.count("ada"), counters.ends("ada")) == (0, 1060)
    assert counters.add("ada", 60, 1) == 1
    counters.forget("ada")
    assert counters.count("ada") == 0
    counters.add("ada", 60, 5)
    counters.forget_all()
    assert counters.count("ada") == 0


def test_when_it_is_full_the_one_that_ends_first_makes_room(time: Time) -> None:
    counters = Counters(slots=NEAR, now=time, wall=time)
    for number in range(NEAR):
        counters.add(f"long-{number}", 1000 + number, 1)
    counters.add("new", 2000, 1)
    assert counters.count("new") == 1
    assert counters.count("long-0") == 0
    assert all(counters.count(f"long-{number}") == 1 for number in range(1, NEAR))


def test_setting_the_wall_clock_locks_nobody_out_and_lets_nobody_in(time: Time) -> None:
    wall = Time()
    counters = Counters(now=time, wall=wall)
    counters.add("ada", 60, 5)
    for jump in (3600.0, -7200.0):
        wall.now += jump
        assert (counters.count("ada"), counters.ends("ada")) == (5, wall.now + 60)
    time.now += 60
    assert counters.count("ada") == 0
