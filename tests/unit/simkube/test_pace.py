"""Clocks that run fast, slowly, not at all and by steps: in order, never late, and where they were after kill -9."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from simkube.apimachinery.errors import HostError, StoreError
from simkube.client.workqueue import Component, WorkLoop
from simkube.clock.clock import spawn
from simkube.clock.pace import FURTHEST, LONGEST_STEP, PacedClock
from simkube.etcd.journal import Journal
from simkube.etcd.store import Side
from simkube.eventloop.driver import run_slice
from simkube.runtime.cri import NetworkError
from simkube.runtime.programs.requester import request

START = 1_800_000_000.0


class World:
    """A wall clock and a steady one, moved by hand; the clock of a cluster between them, driven as a host does."""

    def __init__(self) -> None:
        self.wall = START
        self.ticks = 500.0
        self.side = Side(Journal(), "test")
        self.restart()

    def restart(self) -> None:
        """What the next host finds after ``kill -9``."""
        self.clock = PacedClock(self.side, lambda: self.wall, lambda: self.ticks)
        self.work = WorkLoop(self.clock)

    def run(self) -> None:
        while run_slice(self.clock, self.work):
            pass
        self.clock.arrived()

    def pass_time(self, seconds: float) -> None:
        """Wall time; the driver comes by every millisecond."""
        for _ in range(max(1, round(seconds * 1000))):
            self.wall += min(seconds, 0.001)
            self.ticks += min(seconds, 0.001)
            self.run()

    def every(self, seconds: float) -> list[float]:
        """When a timer ran that sets itself anew, as a probe does."""
        seen: list[float] = []

        def due() -> None:
            seen.append(self.clock.now())
            self.clock.call_later(seconds, due)

        self.clock.call_later(seconds, due)
        return seen


class Noting(Component):
    """Notes when it reconciles, and takes a while of the wall clock for it."""

    name = "noting-controller"

    def __init__(self, world: World, takes: float = 0.0) -> None:
        self.world, self.takes = world, takes
        self.seen: list[float] = []
        self.loop, self.clock, self.running = world.work, world.clock, True

    def reconcile(self, key: object) -> None:
        self.world.wall += self.takes
        self.world.ticks += self.takes
        self.seen.append(self.clock.now())


@pytest.fixture
def world() -> World:
    return World()


def test_at_speed_1_it_is_the_wall_clock(world: World) -> None:
    assert world.clock.now() == START
    seen = world.every(1)
    world.pass_time(3.01)
    assert [round(each - START, 1) for each in seen] == [1.0, 2.0, 3.0]
    assert world.clock.now() == world.wall


@pytest.mark.parametrize("speed", [0.1, 10.0, 1000.0])
def test_timers_run_at_their_own_time_at_any_speed(world: World, speed: float) -> None:
    world.clock.run_at(speed)
    seen = world.every(0.05)
    world.pass_time(1.005)
    assert world.clock.now() - START == pytest.approx(speed, rel=0.01)
    assert len(seen) == pytest.approx(speed / 0.05, rel=0.02)
    gaps = {round(after - before, 6) for before, after in pairwise(seen)}
    assert gaps == {0.05}


def test_work_takes_no_time_of_a_fast_clock(world: World) -> None:
    noting = Noting(world, takes=0.5)
    world.clock.run_at(100)

    def come() -> None:
        for key in range(3):
            world.work.add(noting, key)

    world.clock.call_later(10, come)
    world.pass_time(0.2)
    assert noting.seen == [START + 10] * 3
    assert START + 10 <= world.clock.now() <= START + 25  # 1.5 s of work would have been 150


def test_what_cannot_be_made_up_for_is_let_off(world: World) -> None:
    world.clock.run_at(1000)
    seen = world.every(1)
    world.wall += 3600  # the host was busy with others
    world.ticks += 3600
    world.run()
    assert len(seen) <= 102
    assert seen == [START + number for number in range(1, len(seen) + 1)]


def test_a_paused_clock_lets_nothing_happen_and_steps(world: World) -> None:
    seen = world.every(1)
    noting = Noting(world)
    world.clock.pause()
    world.work.add(noting, "a")
    world.pass_time(5)
    assert (seen, noting.seen, world.clock.now()) == ([], [], START)
    world.clock.step_to(0)  # until quiet
    world.run()
    assert (seen, noting.seen) == ([], [START])
    world.clock.step_to(2.5)
    world.run()
    assert seen == [START + 1, START + 2]
    assert world.clock.now() == START + 2.5
    assert world.clock.standing
    world.clock.resume()
    world.pass_time(0.6)
    assert len(seen) == 3
    assert world.clock.now() == pytest.approx(START + 3.1)


def test_a_clock_that_was_ahead_goes_on_from_there_at_speed_1(world: World) -> None:
    world.clock.run_at(1000)
    world.pass_time(1)
    world.clock.run_at(1)
    ahead = world.clock.now() - world.wall
    assert ahead == pytest.approx(999, rel=0.01)
    world.pass_time(1)
    assert world.clock.now() - world.wall == pytest.approx(ahead)


def test_limits(world: World) -> None:
    for speed in (0.0, 0.05, 1001.0, -1.0):
        with pytest.raises(HostError, match=r"between 0.1 and 1000"):
            world.clock.run_at(speed)
    with pytest.raises(HostError, match="a step is at most"):
        world.clock.step_to(LONGEST_STEP + 1)
    for _ in range(int(FURTHEST / LONGEST_STEP)):
        world.clock.step_to(LONGEST_STEP)
        world.run()
    with pytest.raises(HostError, match="ten years ahead"):
        world.clock.step_to(LONGEST_STEP)
    world.clock.run_at(1000)
    world.ticks += 1e9
    assert world.clock.now() <= world.wall + FURTHEST


def test_paused_stays_paused_after_kill_9_also_in_the_middle_of_a_step(world: World) -> None:
    world.every(1)
    world.clock.step_to(100)
    world.restart()
    world.pass_time(1)
    assert world.clock.standing
    assert world.clock.now() == START + 100  # never behind a time that was handed out
    world.clock.resume()
    assert world.clock.now() == START + 100


def test_a_fast_clock_is_never_taken_back(world: World) -> None:
    world.clock.run_at(1000)
    for _ in range(20):
        world.pass_time(0.137)
        before = world.clock.now()
        world.restart()
        assert before <= world.clock.now() <= before + 1001
        assert world.clock.speed == 1000
    world.clock.run_at(1)
    offset = world.clock.now() - world.wall
    world.restart()
    assert world.clock.now() - world.wall == offset


def test_time_that_cannot_be_kept_is_not_handed_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.clock.run_at(1000)

    def full(key: str, value: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(world.side, "put", full)
        world.pass_time(5)
        assert world.clock.now() <= START + 1000
    world.pass_time(1)
    assert world.clock.now() > START + 1000


def test_probes_tell_the_clusters_time_whatever_the_time_of_day_is(world: World) -> None:
    async def refused(*_: object) -> None:
        raise NetworkError("refused", "Connection refused")

    sandbox = SimpleNamespace(ip="10.244.0.2", network=SimpleNamespace(request=refused))
    process: Any = SimpleNamespace(container=SimpleNamespace(clock=world.clock, sandbox=sandbox))
    world.clock.step_to(3600)
    world.run()
    task = spawn(request(process, "http://a/", "GET", 1.0, {}, ""))
    assert task.result()["t"] == world.clock.now() == START + 3600


def test_while_pinned_it_runs_at_speed_1_and_then_as_wished(world: World) -> None:
    world.clock.run_at(100)
    world.clock.pause()
    world.clock.pin(60)
    seen = world.every(1)
    world.pass_time(2.5)
    assert len(seen) == 2
    world.restart()  # a killed host goes on so
    assert world.clock.pinned
    before = world.clock.now()
    world.pass_time(1)
    assert world.clock.now() == pytest.approx(before + 1)
    world.clock.unpin()
    assert world.clock.standing
    assert world.clock.speed == 100
    world.clock.pin(60)
    world.wall += 61  # whoever pinned it is dead
    world.ticks += 61
    assert not world.clock.pinned
    assert world.clock.standing


class TestJumps:
    @pytest.mark.parametrize("jump", [3600.0, -3600.0, 8 * 86400.0])
    def test_setting_the_wall_clock_moves_no_cluster(self, world: World, jump: float) -> None:
        """Nor does a laptop that slept: its steady clock stood still meanwhile."""
        seen = world.every(1.0)
        world.pass_time(3.5)
        world.wall += jump
        world.pass_time(3.0)
        assert len(seen) == 6
        assert [round(later - earlier, 2) for earlier, later in pairwise(seen)] == [1.0] * 5
        assert world.clock.now() == pytest.approx(START + 6.5, abs=0.01)
        assert world.clock.wall() == world.wall
        world.restart()
        assert world.clock.now() == pytest.approx(START + 6.5, abs=0.01)

    def test_a_small_correction_is_followed(self, world: World) -> None:
        world.wall -= 0.5
        assert world.clock.now() == world.wall

    def test_what_a_stopped_host_missed_is_let_off(self, world: World) -> None:
        """One that was stopped for a minute finds no lease run out."""
        renewed = world.every(10.0)
        world.pass_time(1.0)
        world.wall += 60
        world.ticks += 60
        world.run()
        assert renewed == [START + 10.0]
        assert world.clock.now() == pytest.approx(START + 10.0, abs=0.01)
        world.pass_time(10.1)
        assert renewed[1] == pytest.approx(START + 20.0, abs=0.01)

    def test_a_busy_host_is_late_and_lets_nothing_off(self, world: World) -> None:
        world.every(1.0)
        world.wall += 9
        world.ticks += 9
        world.run()
        assert world.clock.now() == world.wall

    def test_while_nothing_can_be_stored_the_time_is_right_all_the_same(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise StoreError("the store took no write")

        monkeypatch.setattr(world.side, "put", full)
        world.wall += 3600
        assert world.clock.now() == START

    def test_a_pin_lasts_as_long_as_it_was_wished(self, world: World) -> None:
        for jump in (3600.0, -3600.0):
            world.clock.pin(60)
            world.wall += jump
            assert world.clock.pinned
            world.ticks += 59
            world.wall += 59
            assert world.clock.pinned
            world.ticks += 1
            world.wall += 1
            assert not world.clock.pinned


class TestVirtualTime:
    """A clock whose time passes only while somebody outside waits for something in the cluster."""

    def test_it_stands_still_while_nobody_waits(self, world: World) -> None:
        seen, began = world.every(1.0), world.clock.now()
        world.clock.virtual()
        world.pass_time(5.0)
        assert (seen, world.clock.now()) == ([], began)

    def test_it_jumps_from_event_to_event_until_what_is_awaited_has_happened(self, world: World) -> None:
        seen, began = world.every(1.0), world.clock.now()
        world.clock.virtual()
        waited = world.clock.sleep(3600.5)
        with world.clock.awaited(waited):
            world.run()
        assert waited.done
        assert world.clock.now() == began + 3600.5
        assert seen == [began + second for second in range(1, 3601)]
        world.pass_time(1.0)
        assert world.clock.now() == began + 3600.5

    def test_work_of_the_moment_is_done_while_it_stands(self, world: World) -> None:
        began = world.clock.now()
        world.clock.virtual()
        noting = Noting(world, takes=3.0)
        world.work.add(noting, "a")
        world.run()
        assert noting.seen == [began]

    def test_work_waits_for_no_later_time(self, world: World) -> None:
        """However long it takes, what is waited for is over at its own time, and its work is done at that time."""
        world.clock.virtual()
        noting, began = Noting(world, takes=3.0), world.clock.now()
        world.clock.call_later(1.0, lambda: world.work.add(noting, "a"))
        world.clock.call_later(2.0, lambda: world.work.add(noting, "b"))
        waited = world.clock.sleep(10.0)
        with world.clock.awaited(waited):
            world.run()
        assert noting.seen == [began + 1.0, began + 2.0]
        assert world.clock.now() == began + 10.0

    def test_whoever_gives_up_waiting_lets_no_more_time_pass(self, world: World) -> None:
        world.clock.virtual()
        began, never = world.clock.now(), world.clock.sleep(60.0)
        with world.clock.awaited(never):
            pass
        world.run()
        assert world.clock.now() == began
        assert not never.done

    def test_time_passes_as_long_as_anybody_waits(self, world: World) -> None:
        world.clock.virtual()
        began, soon, late = world.clock.now(), world.clock.sleep(1.0), world.clock.sleep(2.0)
        with world.clock.awaited(late), world.clock.awaited(soon):
            world.run()
        assert world.clock.now() == began + 2.0

    def test_what_goes_on_outside_takes_no_time(self, world: World) -> None:
        world.clock.virtual()
        began, waited = world.clock.now(), world.clock.sleep(5.0)
        with world.clock.awaited(waited):
            with world.clock.occupied():
                world.run()
                assert world.clock.now() == began
            world.run()
        assert world.clock.now() == began + 5.0

    def test_it_is_asked_for_at_once_when_somebody_waits_also_after_work(self, world: World) -> None:
        wakeups: list[float | None] = []
        world.clock.virtual()
        world.clock.hold()
        world.clock.drive(wakeups.append)
        with world.clock.awaited(world.clock.sleep(5.0)):
            assert wakeups[-1] == 0.0

    def test_nothing_waits_for_the_wall_clock(self, world: World) -> None:
        wakeups: list[float | None] = []
        world.every(1.0)
        world.clock.virtual()
        world.clock.drive(wakeups.append)
        assert wakeups == [None]

    @pytest.mark.parametrize("wish", ["pause", "resume"])
    def test_nobody_runs_it_otherwise(self, world: World, wish: str) -> None:
        world.clock.virtual()
        with pytest.raises(HostError, match="virtual"):
            getattr(world.clock, wish)()

    def test_a_clock_of_any_pace_becomes_virtual(self, world: World) -> None:
        world.clock.run_at(100.0)
        world.pass_time(1.0)
        world.clock.pin(60.0)
        world.pass_time(1.0)
        began = world.clock.now()
        world.clock.virtual()
        world.pass_time(1.0)
        assert world.clock.now() == began
        assert not world.clock.pinned
