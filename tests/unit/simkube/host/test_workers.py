"""Workers: one that hangs or dies takes its own clusters with it, for a moment, and nothing that was acknowledged."""

from __future__ import annotations

import json
import os
import signal
import ssl
import threading
from collections.abc import Iterator
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

import pytest

from simkube.host import launcher, settings
from simkube.host.launcher import HostClient, HostError
from tests.unit.simkube.host.test_host import MAPS, TOPOLOGY, Api, eventually

TWO = {"owner-0": 0, "owner-1": 1}
"""Owners, and the worker of two that each is hashed to."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(settings.WORKERS, "2")
    folder = tmp_path / "host"
    yield folder
    launcher.shutdown(folder)


def two_clusters(home: Path) -> tuple[HostClient, dict[int, Api]]:
    """A host of two workers with a cluster in each; who asks each, by the number of its worker."""
    host = launcher.connect(home)
    for owner, number in TWO.items():
        host.create(f"c{number}", TOPOLOGY, owner=owner)
    assert [worker["clusters"] for worker in host.health()["workers"]] == [1, 1]
    return host, {number: Api(host, f"c{number}") for number in TWO.values()}


def pids(host: HostClient) -> list[int]:
    return [worker["pid"] for worker in host.health()["workers"]]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def written(api: Api, name: str) -> bool:
    """Whether a write was acknowledged."""
    try:
        return api("POST", MAPS, {"metadata": {"name": name}})[0] == 201
    except (OSError, HTTPException):
        return False


def names(api: Api) -> set[str]:
    return {each["metadata"]["name"] for each in api("GET", MAPS)[1]["items"]}


@pytest.mark.crashes
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_is_lost_during_requests_comes_back_with_all_that_was_acknowledged(
    home: Path, number: signal.Signals
) -> None:
    host, apis = two_clusters(home)
    lost, other = pids(host)
    acknowledged: dict[int, list[str]] = {0: [], 1: []}
    over = threading.Event()

    def write(worker: int) -> None:
        count = 0
        while not over.is_set():
            count += 1
            if written(apis[worker], f"n{count}"):
                acknowledged[worker].append(f"n{count}")
            elif worker == 1:
                acknowledged[1].append("refused")

    writers = [threading.Thread(target=write, args=(worker,)) for worker in (0, 1)]
    for each in writers:
        each.start()
    assert eventually(lambda: min(map(len, acknowledged.values())) > 5, 60)
    os.kill(lost, number)
    elsewhere = len(acknowledged[1])
    assert eventually(lambda: pids(host)[0] not in (lost, None), 60)
    before = len(acknowledged[0])
    assert eventually(lambda: len(acknowledged[0]) > before + 5, 60)
    assert len(acknowledged[1]) > elsewhere
    over.set()
    for each in writers:
        each.join()
    assert set(acknowledged[0]) <= names(apis[0])
    assert set(acknowledged[1]) <= names(apis[1])
    assert pids(host)[1] == other
    assert [worker["restarts"] for worker in host.health()["workers"]] == [1, 0]
    assert not alive(lost)


@pytest.mark.parametrize("whose", ["control", "zygote"])
def test_no_worker_outlives_its_host(home: Path, whose: str) -> None:
    host, _ = two_clusters(home)
    health = host.health()
    everybody = [health["pid"], health["zygote"], *pids(host)]
    os.kill(pids(host)[1], signal.SIGSTOP)  # not even one that cannot notice
    os.kill(health["pid"] if whose == "control" else health["zygote"], signal.SIGKILL)
    assert eventually(lambda: not any(map(alive, everybody)), 60)
    assert sorted(launcher.connect(home).clusters()) == ["c0", "c1"]


def test_a_host_told_to_stop_ends_its_workers(home: Path) -> None:
    host, _ = two_clusters(home)
    everybody = [host.health()["zygote"], *pids(host)]
    launcher.shutdown(home)
    assert not any(map(alive, everybody))


@pytest.mark.parametrize("workers", ["1", "2", "3"])
def test_clusters_are_where_they_were_also_with_other_numbers_of_workers(
    home: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    _, apis = two_clusters(home)
    for number, api in apis.items():
        assert written(api, f"in-{number}")
    launcher.shutdown(home)
    monkeypatch.setenv(settings.WORKERS, workers)
    again = launcher.connect(home)
    assert sorted(again.clusters()) == ["c0", "c1"]
    for number, api in apis.items():
        assert f"in-{number}" in names(api)
    placed = [worker["clusters"] for worker in again.health()["workers"]]
    assert placed == {"1": [2], "2": [1, 1], "3": [1, 1, 0]}[workers]


def test_all_clusters_of_an_owner_are_in_one_worker(home: Path) -> None:
    host = launcher.connect(home)
    for number in range(5):
        host.create(f"c{number}", TOPOLOGY, owner="somebody")
    assert sorted(worker["clusters"] for worker in host.health()["workers"]) == [0, 5]


def test_one_connection_may_ask_several_clusters(home: Path) -> None:
    host, _ = two_clusters(home)
    context = ssl.create_default_context(cadata=host.ca)
    connection = HTTPSConnection(host.url.removeprefix("https://"), timeout=10, context=context)
    connection.connect()
    first = connection.sock
    for turn in range(4):
        cluster = f"c{turn % 2}"
        token = json.loads(host.kubeconfig(cluster) or "")["users"][0]["user"]["token"]
        body = json.dumps({"metadata": {"name": f"n{turn}"}, "data": {"k": "x" * 100_000}})
        path = f"/clusters/{cluster}{MAPS}"
        connection.request("POST", path, body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 201
        answer.read()
        connection.request("GET", "/host/healthz", headers={"Authorization": "Bearer wrong"})
        refused = connection.getresponse()
        assert refused.status == 401
        refused.read()
    assert connection.sock is first
    connection.close()


def test_a_cluster_that_is_nowhere_is_not_found(home: Path) -> None:
    host, apis = two_clusters(home)
    apis[0]._prefix = "clusters/nowhere"
    status, found = apis[0]("GET", MAPS)
    assert (status, found["kind"], found["reason"]) == (404, "Status", "NotFound")
    assert host.status("nowhere") is None
    host.delete("nowhere")


@pytest.mark.parametrize("value", ["0", "many", "-1", "100"])
def test_a_number_of_workers_that_is_none_is_said(home: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(settings.WORKERS, value)
    with pytest.raises(HostError, match="the host did not start"):
        launcher.connect(home)
    assert f"SIMKUBE_WORKERS is a number from 1 to 64, not '{value}'" in (home / "host.log").read_text()
