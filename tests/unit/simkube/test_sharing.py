"""The loop is shared: who floods waits while others want it, and nobody else does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.client.workqueue import WorkLoop
from simkube.clock.clock import Clock
from simkube.clock.pace import PacedClock
from simkube.etcd.journal import Journal
from simkube.etcd.store import Side
from simkube.eventloop import fairness as sharing
from simkube.eventloop.driver import LiveDriver
from simkube.eventloop.fairness import Share, Shares


class Now:
    """A monotonic clock moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def shares(now: Now) -> Shares:
    return Shares(now)


def flooding(shares: Shares, seconds: float = 1.0) -> Share:
    share = shares.open()
    share.asked()
    share.charge(seconds)
    return share


def quiet(shares: Shares) -> Share:
    share = shares.open()
    share.asked()
    return share


def test_a_cluster_alone_may_have_the_whole_loop(shares: Shares) -> None:
    noisy = flooding(shares)
    shares.open()  # another cluster, in which nobody does anything
    assert noisy.delay() == 0.0


def test_beside_somebody_else_a_flood_gets_its_small_part_of_the_loop(shares: Shares, now: Now) -> None:
    noisy, other = flooding(shares), quiet(shares)
    began, pieces = now.seconds, 100
    for _ in range(pieces):
        now.seconds += noisy.delay()
        other.asked()
        now.seconds += 0.01
        noisy.charge(0.01)
    used = pieces * 0.01 / (now.seconds - began)
    assert used < sharing.DEBTORS * 1.1
    assert other.delay() == 0.0


def test_what_a_command_needs_is_not_delayed(shares: Shares) -> None:
    other = quiet(shares)
    busy = flooding(shares, sharing.BURST * 0.9)
    assert busy.delay() == other.delay() == 0.0


def test_once_the_others_are_quiet_the_loop_is_free_again(shares: Shares, now: Now) -> None:
    noisy = flooding(shares)
    quiet(shares)
    assert noisy.delay() > 0
    now.seconds += sharing.ACTIVE_SECONDS + 0.1
    assert noisy.delay() == 0.0


def test_who_was_idle_waits_for_one_piece_of_a_flood_at_most(shares: Shares, now: Now) -> None:
    noisy, other = flooding(shares, 100.0), shares.open()
    order: list[str] = []

    async def flood() -> None:
        while True:
            await noisy.turn()
            order.append("noisy")
            now.seconds += 0.04
            noisy.charge(0.04)
            await asyncio.sleep(0)  # it is answered, and asks again

    async def ask() -> None:
        await other.request()
        order.append("other")

    async def all_of_them() -> None:
        floods = [asyncio.ensure_future(flood()) for _ in range(8)]
        while len(order) < 20:
            await asyncio.sleep(0)
        order.clear()
        await asyncio.ensure_future(ask())  # it has been read in this pass of the loop, and begins in the next
        for each in floods:
            each.cancel()

    asyncio.run(all_of_them())
    assert order.count("other") == 1
    assert order.index("other") <= 1


def test_who_comes_back_finds_a_flood_that_has_used_its_burst(shares: Shares, now: Now) -> None:
    """It may have the whole loop while nobody else is there, and has no second burst when somebody is."""
    noisy = shares.open()
    for _ in range(100):
        noisy.asked()
        assert noisy.delay() == 0.0
        noisy.charge(0.1)
        now.seconds += 0.1
    quiet(shares)
    assert noisy.delay() > 0


def test_a_cluster_that_is_removed_delays_nobody(shares: Shares) -> None:
    noisy, other = flooding(shares), quiet(shares)
    assert noisy.delay() > 0
    other.close()
    assert noisy.delay() == 0.0


def test_floods_share_what_floods_may_have(shares: Shares) -> None:
    quiet(shares)
    one = flooding(shares, sharing.BURST + 0.1)
    alone = one.delay()
    flooding(shares)
    assert one.delay() == pytest.approx(2 * alone)


def test_nobody_waits_longer_than_the_bound(shares: Shares) -> None:
    quiet(shares)
    assert flooding(shares, 1e6).delay() <= sharing.MOST_DELAY


def test_requests_beyond_the_queue_are_told_to_come_back(shares: Shares) -> None:
    async def ask() -> None:
        quiet(shares)
        noisy = flooding(shares)
        waiting = [asyncio.ensure_future(noisy.request()) for _ in range(sharing.MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(StatusError) as caught:
            await noisy.request()
        assert caught.value.code == 429
        assert (caught.value.details or {})["retryAfterSeconds"] == 1
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(ask())


def run(share: Share, work: Coroutine[Any, Any, Any]) -> Any:
    async def metered() -> Any:
        return await share.metered(work)

    return asyncio.run(metered())


class Charged(Share):
    """An account that remembers what it was charged."""

    def __init__(self, shares: Shares) -> None:
        super().__init__(shares)
        self.charges: list[float] = []

    def charge(self, seconds: float) -> None:
        self.charges.append(seconds)
        super().charge(seconds)


def test_each_step_of_metered_work_is_charged_and_its_result_kept(shares: Shares) -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return "done"

    share = Charged(shares)
    assert run(share, work()) == "done"
    assert len(share.charges) == 3
    assert all(seconds >= 0 for seconds in share.charges)


def test_errors_and_cancellation_reach_metered_work(shares: Shares) -> None:
    share, seen = Charged(shares), []

    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        run(share, fails())

    async def waits() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            seen.append("cancelled")
            await asyncio.sleep(0)  # cleaning up may wait as well
            raise
        return ""

    async def cancelled() -> None:
        async def outer() -> str:
            return await share.metered(waits())

        task = asyncio.ensure_future(outer())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert seen == ["cancelled"]


def test_work_done_aside_is_charged_too_and_its_errors_are_raised(shares: Shares) -> None:
    share = Charged(shares)
    assert asyncio.run(share.thread(lambda: sum(range(1000)))) == 499500
    with pytest.raises(ZeroDivisionError):
        asyncio.run(share.thread(lambda: 1 // 0))
    assert len(share.charges) == 2


class Loop(asyncio.SelectorEventLoop):
    """Remembers what is scheduled and runs none of it."""

    def __init__(self) -> None:
        super().__init__()
        self.later: list[float] = []

    def time(self) -> float:
        return 1000.0

    def call_later(self, delay: float, *_: Any, **__: Any) -> Any:  # type: ignore[override]  # only what the driver calls
        self.later.append(delay)
        return asyncio.TimerHandle(0, lambda: None, [], self)


def test_the_controllers_of_a_flooding_cluster_wait_as_well(shares: Shares) -> None:
    loop = Loop()
    try:
        quiet(shares)
        noisy, work = flooding(shares), WorkLoop(Clock(0.0))
        driver = LiveDriver(loop, Clock(0.0), work, noisy)
        driver.start()
        work.add(None, "something")  # type: ignore[arg-type]  # it is never run
        assert loop.later == [pytest.approx(noisy.delay())]
        driver.stop()
    finally:
        loop.close()


def test_a_fast_clock_has_no_burst_but_a_small_part_of_the_loop_while_anybody_else_wants_it(shares: Shares) -> None:
    fast, another = shares.open(), shares.open()
    assert fast.rest(0.002) == 0.0  # alone, the whole loop
    quiet(shares)
    assert fast.rest(0.002) == pytest.approx(0.018)  # a tenth, from the first piece on
    assert fast.delay() == 0.0  # what its learner asks for is not held up
    assert another.rest(0.002) == pytest.approx(0.038)  # a tenth for both
    fast.rested()
    assert another.rest(0.002) == pytest.approx(0.018)
    assert another.rest(100.0) == sharing.MOST_DELAY


def test_the_driver_of_a_fast_clock_rests_between_slices_until_the_clock_is_slow_again(shares: Shares) -> None:
    loop = Loop()
    try:
        quiet(shares)
        clock = PacedClock(Side(Journal(), "test"))
        clock.run_at(1000.0)
        share, work = shares.open(), WorkLoop(clock)
        driver = LiveDriver(loop, clock, work, share)
        clock.call_later(0.0, lambda: None)
        driver.start()
        driver._run()
        loop.later.clear()
        driver._next = None
        driver._wake()
        assert len(loop.later) == 1
        assert 0.0 < loop.later[0] <= sharing.MOST_DELAY
        clock.run_at(1.0)
        driver._next = None
        loop.later.clear()
        driver.changed()
        assert loop.later == []  # at once
        assert share not in shares.restless
        driver.stop()
    finally:
        loop.close()


def test_what_a_request_takes_is_charged_to_whose_it_turns_out_to_be() -> None:
    now = [0.0]
    shares = Shares(lambda: now[0])
    cluster, stranger = shares.open(), shares.stranger("127.0.0.1")
    charged: list[tuple[str, bool]] = []
    cluster.charge = lambda seconds: charged.append(("cluster", seconds > 0))  # type: ignore[method-assign]
    stranger.charge = lambda seconds: charged.append(("stranger", seconds > 0))  # type: ignore[method-assign]

    async def known() -> None:
        await asyncio.sleep(0)
        await cluster.request()
        await asyncio.sleep(0)

    async def unknown() -> None:
        await stranger.request()

    async def live() -> None:
        await stranger.metered(known())
        assert charged == [("stranger", True), ("cluster", True), ("cluster", True)]
        charged.clear()
        await stranger.metered(unknown())
        assert charged == [("stranger", True)]

    asyncio.run(live())


def test_strangers_wait_for_clusters_and_no_cluster_for_strangers() -> None:
    now = [0.0]
    shares = Shares(lambda: now[0])
    cluster, stranger, other = shares.open(), shares.stranger("127.0.0.1"), shares.stranger("127.0.0.2")
    stranger.asked()
    stranger.charge(sharing.BURST + 1)
    assert stranger.delay() == 0.0, "nobody else wants anything"
    cluster.asked()
    assert stranger.delay() > 0
    assert other.delay() == 0.0
    cluster.charge(sharing.BURST + 1)
    now[0] += sharing.ACTIVE_SECONDS + 1
    stranger.asked()
    assert cluster.delay() == 0.0, "a stranger is nobody to wait for"


def test_addresses_are_counted_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "MOST_ADDRESSES", 2)
    shares = Shares()
    first = shares.stranger("a")
    shares.stranger("b")
    assert shares.stranger("c") is shares.stranger("d")
    assert shares.stranger("a") is first
