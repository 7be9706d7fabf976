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
            counters.add("ada", 60)
        os._exit(0)
assert [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(4)] == [0] * 4
print(counters.add("ada", 60))
"""
    )
    assert said == "401"


def test_one_that_is_killed_while_it_counts_holds_up_nobody() -> None:
    said = alone(
        """
if not os.fork():
    with counters._locked():
        os.kill(os.getpid(), signal.SIGKILL)
print(os.waitstatus_to_exitcode(os.wait()[1]), counters.add("ada", 60))
"""
    )
    assert said == "-9 1"


def test_a_counter_ends_and_begins_anew(time: Time) -> None:
    counters = Counters(now=time)
    assert [counters.add("ada", 60) for _ in range(3)] == [1, 2, 3]
    assert counters.add("bob", 60) == 1
    time.now = 1059.9
    assert counters.add("ada", 60) == 4
    time.now = 1060
    assert [counters.add("ada", 60) for _ in range(2)] == [1, 2]


def test_when_it_is_full_the_one_that_ends_first_makes_room(time: Time) -> None:
    counters = Counters(slots=NEAR, now=time)
    for number in range(NEAR):
        counters.add(f"long-{number}", 1000 + number)
    counters.add("new", 2000)
    assert counters.add("new", 2000) == 2
    assert all(counters.add(f"long-{number}", 1000 + number) == 2 for number in range(1, NEAR))
    assert counters.add("long-0", 3000) == 1
