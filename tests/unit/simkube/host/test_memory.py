"""A worker's memory has a bound: before it, what would take more is refused, and what gives some back is not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from simkube.apimachinery.errors import HostError
from simkube.host import memory, settings
from simkube.host.worker import Order
from simkube.host.workers import LARGE_SECONDS, Link
from tests.unit.simkube.host.serving import MAPS, TOPOLOGY, serving
from tests.unit.simkube.host.test_host import eventually
from tests.unit.simkube.host.test_workers import home, pids, two_clusters

__all__ = ["home"]
MIB = 1 << 20


def test_it_is_scarce_before_there_is_none() -> None:
    now = 0.0
    has: int | None = 84 * MIB
    gauge = memory.Gauge(100 * MIB, lambda: has, lambda: now)
    assert gauge.scarce() == ""
    has = 86 * MIB
    assert gauge.scarce() == "", "it was read just now"
    now = 1.0
    assert gauge.scarce().startswith("the part of the host that serves this cluster holds 86 of 100 MiB")
    has, now = None, 2.0
    assert gauge.scarce() == ""


def test_while_it_is_scarce_only_what_grows_is_refused() -> None:
    async def live() -> None:
        async with serving() as host:
            host.create("a")
            made = await host.ask("a", "POST", MAPS, json={"metadata": {"name": "old"}})
            assert made.status == 201
            host.tenants.grow_while(lambda: "there is no memory")
            for method, path, body in (
                ("POST", MAPS, {"metadata": {"name": "new"}}),
                ("PUT", f"{MAPS}/old", {"metadata": {"name": "old"}}),
                ("GET", f"{MAPS}?watch=1", None),
                ("GET", "/api/v1/namespaces/default/pods/a/exec?command=a&stdout=1", None),
            ):
                refused = await host.ask("a", method, path, json=body)
                said: Any = await refused.json()
                assert (refused.status, said["reason"]) == (429, "TooManyRequests"), path
                assert said["message"] == "there is no memory"
                assert refused.headers["Retry-After"] == "5"
            with pytest.raises(HostError, match="there is no memory"):
                host.tenants.create("b", TOPOLOGY, {})
            assert host.tenants.create("a", TOPOLOGY, {}).cluster.id == "a"
            for method, path in (("GET", MAPS), ("GET", f"{MAPS}/old"), ("DELETE", f"{MAPS}/old")):
                assert (await host.ask("a", method, path)).status == 200, path
            host.tenants.grow_while(lambda: "")
            assert (await host.ask("a", "POST", MAPS, json={"metadata": {"name": "new"}})).status == 201

    asyncio.run(live())


def test_a_worker_beyond_its_part_is_ended_but_not_again_and_again() -> None:
    async def live() -> None:
        order = Order(0, [], "", "", "", ("", ""), "", 0, memory=100 * MIB)
        link = Link(order)
        link.began, link.memory = 0.0, 101 * MIB
        assert link.too_large(LARGE_SECONDS - 1) == ""
        assert "holds 101 MiB of the 100 MiB" in link.too_large(LARGE_SECONDS + 1)
        link.memory = 99 * MIB
        assert link.too_large(LARGE_SECONDS + 1) == ""

    asyncio.run(live())


def test_a_learner_who_fills_it_is_refused_and_others_are_not(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.MEMORY, "256")
    monkeypatch.setenv(settings.WORKERS, "2")
    host, apis = two_clusters(home)
    before = pids(host)
    made: list[int] = []

    def full() -> bool:
        data = {"k": "x" * 1_000_000}
        status, found = apis[0]("POST", MAPS, {"metadata": {"name": f"n{len(made)}"}, "data": data})
        made.append(status)
        assert status in (201, 429), found
        return status == 429

    assert eventually(full, 60)
    assert apis[1]("POST", MAPS, {"metadata": {"name": "other"}})[0] == 201
    assert apis[0]("GET", f"{MAPS}?limit=1")[0] == 200
    for number in range(len(made)):
        apis[0]("DELETE", f"{MAPS}/n{number}")
    assert apis[0]("GET", MAPS)[0] == 200
    assert pids(host) == before


@pytest.mark.parametrize(("workers", "given"), [("2", "255"), ("1", "x"), ("1", "127")])
def test_too_little_is_refused(workers: str, given: str) -> None:
    with pytest.raises(HostError, match=rf"SIMKUBE_MEMORY_MIB is a number of MiB from {128 * int(workers)} to"):
        settings.load({settings.WORKERS: workers, settings.MEMORY: given})


def test_what_is_usual_is_a_part_of_the_machine() -> None:
    found = settings.load({})
    assert 1 <= found.workers <= settings.USUAL_WORKERS
    assert found.memory >= settings.LEAST_MEMORY * found.workers << 20
