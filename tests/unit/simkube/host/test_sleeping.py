"""Sleeping until something has changed: the same times and the same sights as looking at every step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.clock import clock_of, used
from grader.connection import Connection
from grader.errors import CheckFailed
from grader.waiting import hold, poll
from simkube.host import launcher, settings
from simkube.host.launcher import HostClient
from tests.unit.simkube.host.test_fork import NODES, PODS, Copied, run
from tests.unit.simkube.host.test_host import Api

SLEEP = "/simkube/sleep"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostClient]:
    """A host with one cluster, which only its copies change."""
    folder: Path = tmp_path_factory.mktemp("sleeping") / "host"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(settings.WORKERS, "1")
        host = launcher.connect(folder)
        host.create("a", NODES)
        yield host
        launcher.shutdown(folder)


def at(copied: Copied) -> dict[str, Any]:
    found: dict[str, Any] = copied.api("GET", "/simkube/time")[1]
    return found


def test_it_ends_at_the_step_at_which_looking_would_have_seen_it(host: HostClient) -> None:
    looking = Copied(host)
    run(looking.api, "ends", "sleep 7.3")
    looking.sleep(5.0)
    sleeping = Copied(looking.host, looking.id)
    began = at(looking)
    assert at(sleeping) == began
    times = []
    for _ in range(3):
        before = at(looking)["revision"]
        while at(looking)["revision"] == before:
            looking.sleep(0.5)
        times.append(looking.time)
        status, found = sleeping.api("POST", SLEEP, {"seconds": 60, "every": 0.5, "since": before})
        assert (status, found) == (200, at(looking))
    assert times == sorted(set(times))
    steps = [(time - began["time"]) / 0.5 for time in times]
    assert steps == pytest.approx([round(one) for one in steps], abs=1e-6)


def test_it_ends_in_time_when_nothing_happens(host: HostClient) -> None:
    copied = Copied(host)
    began = at(copied)
    body = {"seconds": 10.25, "every": 0.5, "since": began["revision"] + 10_000}
    found = copied.api("POST", SLEEP, body)[1]
    assert found["time"] == began["time"] + 10.25


def test_what_has_changed_already_ends_it_after_a_step(host: HostClient) -> None:
    copied = Copied(host)
    began = at(copied)
    found = copied.api("POST", SLEEP, {"seconds": 60, "every": 0.5, "since": began["revision"] - 1})[1]
    assert found["time"] == began["time"] + 0.5


def test_all_that_happens_at_a_moment_has_happened_when_it_is_over(host: HostClient) -> None:
    """Otherwise what is seen would hang on how fast somebody asks."""
    copied = Copied(host)
    run(copied.api, "worker", "sleep 1000")
    for _ in range(20):
        found = copied.api("POST", SLEEP, {"seconds": 0.5})[1]
        assert at(copied) == found


@pytest.mark.parametrize("wrong", [{"every": "x"}, {"since": "y"}, {"every": True}, {"every": None}])
def test_nonsense_is_refused(host: HostClient, wrong: dict[str, Any]) -> None:
    status, found = Copied(host).api("POST", SLEEP, {"seconds": 1, **wrong})
    assert status == 400
    assert "is a number" in found["message"]


@pytest.fixture
def connection(host: HostClient) -> Iterator[Connection]:
    """The grader's to a copy, with the attempt's clock."""
    copied = Copied(host)
    run(copied.api, "late", "sleep 33.3")
    made = Connection(copied.host.kubeconfig(copied.id) or "")
    with used(clock_of(made, "cluster")):
        yield made
    made.close()


def phase(connection: Connection) -> str:
    return str(connection.get(f"{PODS}/late")["status"].get("phase"))


def test_a_grader_polls_and_holds_in_the_time_of_a_copy(connection: Connection) -> None:
    clock = clock_of(connection, "cluster")
    began, reads_before = clock.now(), connection.activity.reads
    poll(lambda: phase(connection) == "Running", 30, every=0.3)
    hold(lambda: phase(connection) == "Running", 30, every=0.3)
    poll(lambda: connection.get(f"{PODS}/late")["status"]["containerStatuses"][0]["restartCount"], 30, every=0.3)
    assert 33.0 < clock.now() - began < 50.0
    with pytest.raises(CheckFailed, match="not within 300 s"):
        poll(lambda: phase(connection) == "Pending", 300, every=0.3)
    assert clock.now() - began > 330.0
    assert connection.activity.reads - reads_before < 1000


def test_in_place_the_clock_is_as_far_ahead_as_the_clusters(host: HostClient) -> None:
    host.create("ahead", NODES)
    host.control("ahead", "clock", {"step": 7200})
    told = float(Api(host, "ahead")("GET", "/simkube/time")[1]["time"])
    clock = clock_of(Connection(host.kubeconfig("ahead") or ""), "wall")
    assert 0.0 <= clock.now() - told < 600.0
    assert clock.now() - time.time() > 6600.0


def test_in_place_it_sleeps_for_real(host: HostClient) -> None:
    original = Api(host, "a")
    began = original("GET", "/simkube/time")[1]
    found = original("POST", SLEEP, {"seconds": 30, "every": 0.05, "since": began["revision"] - 1})[1]
    assert found["time"] >= began["time"] + 0.05
