"""A worker that no cluster is in, and that holds much more memory than a fresh one, is replaced; others are not."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from simkube.host import certificates, workers
from simkube.host.worker import END_SECONDS, RENEW, Order, Worker
from simkube.host.workers import UNUSED_SECONDS, WORN_BYTES, Link, Workers

TOPOLOGY: dict[str, Any] = {"nodes": [{"role": "control-plane"}]}


def order(folder: Path) -> Order:
    made = certificates.load(folder)
    return Order(
        number=0,
        stores=[str(folder / "store.db")],
        log=str(folder / "host.log"),
        address="127.0.0.1:1",
        ca=made.ca,
        signer=(str(folder / "ca.crt"), str(folder / "ca.key")),
        token="secret",
        answer_bytes=1 << 20,
        memory=1 << 30,
    )


class InProcess:
    """A zygote whose workers are tasks of this process."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self._ended: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, given: dict[str, Any], channel: socket.socket) -> None:
        ours = socket.socket(fileno=os.dup(channel.fileno()))
        self.workers.append(Worker(Order(**given), ours))
        self._ended.put_nowait({"started": 0, "pid": len(self.workers)})
        self._tasks.add(asyncio.ensure_future(self._run(self.workers[-1], ours, len(self.workers))))

    async def _run(self, worker: Worker, channel: socket.socket, pid: int) -> None:
        with channel:
            status = await worker.run()
        self._ended.put_nowait({"ended": pid, "status": status})

    async def news(self) -> dict[str, Any]:
        return await self._ended.get()

    def kill(self, pid: int) -> None:
        pytest.fail(f"nobody hangs, yet worker {pid} is killed")


@asynccontextmanager
async def one_worker(folder: Path) -> AsyncIterator[tuple[Workers, InProcess]]:
    zygote = InProcess()
    made = Workers(zygote, [order(folder)], lambda *_: None, lambda: None)  # type: ignore[arg-type]
    made.start()
    await made.resumed.wait()
    yield made, zygote
    assert await made.stop() is False


@pytest.fixture
def all_worn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every worker counts as worn as soon as it is unused."""
    monkeypatch.setattr(workers, "WORN_BYTES", -1 << 30)
    monkeypatch.setattr(workers, "UNUSED_SECONDS", 0.0)


@pytest.mark.usefixtures("all_worn")
def test_an_unused_one_is_replaced_and_that_is_no_fault(tmp_path: Path) -> None:
    async def live() -> None:
        async with one_worker(tmp_path) as (made, zygote):
            [link] = made.links
            async with asyncio.timeout(30):
                while len(zygote.workers) < 2:
                    await asyncio.sleep(0.01)
                await link.serves.wait()
            assert link.restarts == 0
            zygote.workers[-1]._tenants.create("a", TOPOLOGY, {})
            before = len(zygote.workers)
            await asyncio.sleep(4 * workers.BEAT_SECONDS)  # rounds of control's watch
            assert len(zygote.workers) == before
            assert link.serves.is_set()

    asyncio.run(live())


@pytest.mark.usefixtures("all_worn")
def test_one_that_is_asked_for_something_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr("simkube.host.connections.Places.busy", lambda _: asked.append(True) or True)

    async def live() -> None:
        async with one_worker(tmp_path) as (made, zygote):
            [link] = made.links
            async with asyncio.timeout(30):
                while len(asked) < 2:
                    await asyncio.sleep(0.01)
                await link.serves.wait()
            assert len(zygote.workers) == 1

    asyncio.run(live())


def test_only_one_that_holds_much_more_than_when_it_was_fresh_and_that_for_long_has_no_cluster() -> None:
    async def live() -> None:
        link = Link(Order(0, [], "", "", "", ("", ""), "", 0, memory=1 << 30))
        link.beats({"memory": 10, "resumed": True, "clusters": 1}, 100.0)
        link.beats({"memory": WORN_BYTES + 11, "resumed": True, "clusters": 0}, 100.5)
        assert not link.worn(100.0 + UNUSED_SECONDS - 0.1)
        assert link.worn(100.0 + UNUSED_SECONDS + 0.1)
        link.beats({"memory": WORN_BYTES + 9, "resumed": True, "clusters": 0}, 101.0)
        assert not link.worn(100.0 + UNUSED_SECONDS + 0.1)

    asyncio.run(live())


def test_one_that_goes_on_is_used_again_should_its_word_be_lost() -> None:
    async def live() -> None:
        link = Link(Order(0, [], "", "", "", ("", ""), "", 0, memory=1 << 30))
        beat = {"memory": 10, "resumed": True, "clusters": 0}
        ours, theirs = socket.socketpair()
        with ours, theirs:
            link.channel = ours
            link.renew(100.0)
            assert theirs.recv(16) == RENEW
        link.beats(beat, 100.0 + END_SECONDS)
        assert not link.serves.is_set()
        link.beats(beat, 100.1 + END_SECONDS)
        assert link.serves.is_set()
        assert link.renewing is None

    asyncio.run(live())
