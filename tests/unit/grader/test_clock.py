"""The attempt's clock: polls and holds in the cluster's seconds, and looks on a fork only when there is news."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from grader.clock import Clock, ClusterClock, WallClock, clock_of, current, used
from grader.cluster import Cluster
from grader.connection import Connection
from grader.errors import CheckFailed, ClusterUnreachable
from grader.evidence import Evidence
from grader.protocol import GradeRequest, Outcome, decode, encode
from grader.sampling import SampledClock
from grader.waiting import hold, poll
from tests.doubles.api_server import CORE, pod
from tests.doubles.clock import SteppedClock, StillCluster

PODS = f"{CORE}/pods"


class Fork:
    """A scripted cluster whose time stands still, and the grader's end of it."""

    def __init__(self, scripted: Any) -> None:
        self.scripted = scripted
        self.time = SteppedClock()
        self.still = StillCluster(scripted, self.time)
        self.connection = Connection(scripted.kubeconfig)
        self.clock = clock_of(self.connection, "cluster")

    def put(self, name: str) -> None:
        self.scripted.objects[f"{PODS}/{name}"] = pod(name)
        self.still.change()

    def names(self) -> list[str]:
        return [one["metadata"]["name"] for one in self.connection.get(PODS)["items"]]

    def looks(self) -> int:
        return int(self.scripted.seen.count(f"GET {PODS}"))


@pytest.fixture
def fork(scripted: Any) -> Iterator[Fork]:
    made = Fork(scripted)
    with used(made.clock):
        yield made


@pytest.fixture
def stepped() -> Iterator[SteppedClock]:
    made = SteppedClock()
    with used(made):
        yield made


def failing(message: str = "not yet") -> Callable[[], bool]:
    def look() -> bool:
        raise CheckFailed(message)

    return look


class TestWaiting:
    """In the seconds of whatever clock there is."""

    def test_poll_looks_at_every_step_and_at_the_deadline(self, stepped: SteppedClock) -> None:
        times: list[float] = []

        def look() -> bool:
            times.append(round(stepped.now() - stepped.start, 3))
            raise CheckFailed(f"at {times[-1]}")

        with pytest.raises(CheckFailed, match=r"at 1\.0"):
            poll(look, 1.0, every=0.3)
        assert times == [0.0, 0.3, 0.6, 0.9, 1.0]

    def test_poll_ends_with_the_first_true_value(self, stepped: SteppedClock) -> None:
        there: list[str] = []
        stepped.at(2.0, lambda: there.append("web"))
        assert poll(lambda: there, 60) == ["web"]
        assert 2.0 <= stepped.now() - stepped.start < 2.2

    def test_poll_says_how_long_it_has_waited(self, stepped: SteppedClock) -> None:
        with pytest.raises(CheckFailed, match="it did not within 7 s"):
            poll(lambda: False, 7)
        assert stepped.now() == pytest.approx(stepped.start + 7, abs=0.02)

    def test_poll_waits_for_a_cluster_that_does_not_answer(self, stepped: SteppedClock) -> None:
        def look() -> bool:
            raise ClusterUnreachable("503")

        with pytest.raises(ClusterUnreachable):
            poll(look, 5)
        assert stepped.now() >= stepped.start + 5

    def test_hold_looks_until_the_time_is_over(self, stepped: SteppedClock) -> None:
        looks: list[float] = []
        hold(lambda: looks.append(stepped.now()) or True, 2.0, every=0.5)  # type: ignore[func-returns-value]
        assert [round(one - stepped.start, 3) for one in looks] == [0.0, 0.5, 1.0, 1.5, 2.0]

    def test_hold_says_when_it_broke(self, stepped: SteppedClock) -> None:
        well = [True]
        stepped.at(3.0, well.clear)
        with pytest.raises(CheckFailed, match=r"it broke after 3\.0 s"):
            hold(lambda: well, 10, every=0.5)

    def test_outside_of_an_attempt_it_is_the_wall_clock(self) -> None:
        assert isinstance(current(), WallClock)


class TestOnAFork:
    """Time passes when it is let, and looks cost a request."""

    def test_the_time_is_asked_for_once_while_it_stands_still(self, fork: Fork) -> None:
        first = fork.clock.now()
        fork.names()
        fork.connection.text(f"{CORE}/pods/web/log")
        assert (first, fork.clock.now()) == (fork.time.start, fork.time.start)
        assert fork.scripted.seen.count("GET /simkube/time") == 1

    @pytest.mark.parametrize(
        ("method", "path", "query"),
        [
            ("GET", f"{CORE}/pods/probe:8080/proxy/healthz", {}),
            ("GET", f"{CORE}/pods", {"watch": "true"}),
            ("GET", f"{CORE}/pods/web/log", {"follow": "true"}),
            ("POST", f"{CORE}/pods", {}),
        ],
    )
    def test_it_is_asked_for_again_after_whatever_may_have_taken_time(
        self, fork: Fork, method: str, path: str, query: dict[str, str]
    ) -> None:
        fork.clock.now()
        fork.time.move(2.0)
        if method == "GET":
            fork.connection.text(path, **query)
        else:
            fork.connection.create(path, {"metadata": {"name": "web"}})
        assert fork.clock.now() == fork.time.start + 2.0

    def test_long_sleeps_are_many_requests(self, fork: Fork) -> None:
        fork.clock.sleep(25.0)
        assert [one["seconds"] for one in fork.still.slept] == [10.0, 10.0, 5.0]
        assert fork.clock.now() == fork.time.start + 25.0

    def test_a_look_that_only_reads_is_not_repeated_before_something_changes(self, fork: Fork) -> None:
        fork.time.at(40.0, lambda: fork.put("other"))
        fork.time.at(50.0, lambda: fork.put("web"))
        poll(lambda: "web" in fork.names(), 60, every=0.3)
        assert fork.looks() <= 4
        assert 50.0 <= fork.time.now() - fork.time.start <= 50.3

    def test_it_is_looked_at_the_same_times_as_without(self, fork: Fork, scripted: Any) -> None:
        """A change is seen at the next step, not at once; and what is over by then is not seen."""
        fork.time.at(4.25, lambda: fork.put("web"))
        fork.time.at(6.1, lambda: fork.put("flash"))
        fork.time.at(6.2, lambda: (scripted.objects.pop(f"{PODS}/flash"), fork.still.change()))
        seen: list[tuple[float, int]] = []

        def look() -> bool:
            found = fork.names()
            seen.append((round(fork.time.now() - fork.time.start, 3), len(found)))
            raise CheckFailed(f"{len(found)} pods")

        with pytest.raises(CheckFailed, match="1 pods"):
            poll(look, 9.9, every=0.5)
        times, counts = zip(*seen, strict=True)
        assert counts == (0, 1, 1, 1)
        assert times == (0.0, 4.5, 6.5, 9.9)

    def test_a_wait_in_vain_ends_at_its_deadline_after_few_looks(self, fork: Fork) -> None:
        with pytest.raises(CheckFailed):
            poll(lambda: "web" in fork.names(), 60, every=0.3)
        assert fork.time.now() - fork.time.start == pytest.approx(60.0)
        assert fork.looks() <= 3

    def test_whoever_follows_the_cluster_misses_no_step(self, fork: Fork) -> None:
        class Follower:
            due = 0.0

            def take(self, now: float) -> None:
                taken.append(round(now - fork.time.start, 3))
                self.due = now + 1.0

        taken: list[float] = []
        clock = SampledClock(fork.clock)
        clock.add(Follower())
        with used(clock), pytest.raises(CheckFailed):
            poll(lambda: "web" in fork.names(), 5.0, every=0.5)
        assert taken == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]

    def test_a_change_between_the_look_and_the_wait_is_not_missed(self, fork: Fork) -> None:
        def look() -> bool:
            found = fork.names()
            if "web" not in found:
                fork.put("web")  # by a controller, at the same instant
            return "web" in found

        poll(look, 60, every=0.3)
        assert fork.time.now() - fork.time.start == pytest.approx(0.3)

    def test_with_another_client_every_look_is_repeated(self, fork: Fork, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fork.connection.activity, "uncounted", False)
        assert Cluster(fork.connection, "default").client
        with pytest.raises(CheckFailed):
            poll(lambda: "web" in fork.names(), 3.0, every=0.3)
        assert fork.looks() == 11
        fork.time.move(5.0)  # in a request that nobody has counted
        assert fork.clock.now() == fork.time.now()

    @pytest.mark.parametrize("act", ["proxy", "log", "time", "write", "nothing"])
    def test_a_look_that_does_more_than_read_is_repeated_every_time(self, fork: Fork, act: str) -> None:
        def look() -> bool:
            if act != "nothing":
                fork.names()
            if act == "proxy":
                fork.connection.send("GET", f"{CORE}/pods/probe:8080/proxy/healthz")
            elif act == "log":
                fork.connection.text(f"{CORE}/pods/web/log")
            elif act == "time":
                fork.clock.now()
            elif act == "write":
                fork.connection.delete(f"{PODS}/web")
                fork.scripted.objects[f"{PODS}/web"] = pod("web")
            looks.append(fork.time.now())
            return False

        fork.put("web")
        looks: list[float] = []
        with pytest.raises(CheckFailed):
            poll(look, 3.0, every=0.3)
        assert [round(one - fork.time.start, 3) for one in looks] == pytest.approx([0.3 * n for n in range(11)])

    def test_an_api_server_that_is_stopped_is_waited_for_in_cluster_time(self, fork: Fork, scripted: Any) -> None:
        gone, usual = [True], scripted.handle
        fork.time.at(3.0, gone.clear)

        def handle(method: str, target: str, body: Any) -> tuple[int, Any]:
            if gone and not target.startswith("/simkube/"):
                return 503, "no healthy upstream"
            answer: tuple[int, Any] = usual(method, target, body)
            return answer

        scripted.handle = handle
        assert fork.names() == []
        assert 3.0 <= fork.time.now() - fork.time.start < 3.5

    def test_where_no_revision_is_given_it_is_looked_at_every_time(self, fork: Fork, scripted: Any) -> None:
        usual = scripted.handle

        def handle(method: str, target: str, body: Any) -> tuple[int, Any]:
            status, answer = usual(method, target, body)
            return status, {"time": fork.time.time} if target.startswith("/simkube/") else answer

        scripted.handle = handle
        with pytest.raises(CheckFailed):
            poll(lambda: "web" in fork.names(), 3.0, every=0.3)
        assert fork.looks() == 11

    @pytest.mark.parametrize("answer", [(404, "404 page not found"), (200, "[]"), (200, '{"time": null}'), (500, "")])
    def test_a_fork_that_is_gone_decides_nothing(self, fork: Fork, scripted: Any, answer: tuple[int, str]) -> None:
        usual = scripted.handle
        scripted.handle = lambda method, target, body: (
            answer if target == "/simkube/sleep" else usual(method, target, body)
        )
        with pytest.raises(ClusterUnreachable):
            poll(lambda: False, 3.0)


class TestInPlace:
    """The wall clock, and by how much the cluster's is ahead of it."""

    def test_a_cluster_that_was_stepped_is_ahead(self, scripted: Any) -> None:
        wall = WallClock()
        StillCluster(scripted, SteppedClock(wall.now() + 3600.0))
        clock = clock_of(Connection(scripted.kubeconfig), "wall")
        assert clock.now() - wall.now() == pytest.approx(3600.0, abs=60.0)

    def test_a_cluster_without_a_clock_of_its_own_has_the_machines(self, scripted: Any) -> None:
        clock = clock_of(Connection(scripted.kubeconfig), "wall")
        assert clock.now() == pytest.approx(WallClock().now(), abs=60.0)

    def test_how_far_ahead_it_is_is_asked_once(self) -> None:
        asked = iter([5.0])
        clock = WallClock(lambda: next(asked))
        assert clock.now() <= clock.now()
        with pytest.raises(StopIteration):
            next(asked)


def test_evidence_has_the_clusters_seconds(stepped: SteppedClock) -> None:
    evidence = Evidence(stepped)
    evidence.begin()
    stepped.sleep(12.5)
    evidence.add("healed")
    assert evidence.entries == [{"seconds": 12.5, "what": "healed"}]


def test_a_request_names_its_clock() -> None:
    request = GradeRequest("checks.py", "{}", "default", {}, time="cluster")
    assert decode(encode(request)) == request
    assert GradeRequest("checks.py", "{}", "default", {}).time == "wall"


def test_a_check_on_a_fork_waits_in_its_time(scripted: Any, run: Callable[..., Any]) -> None:
    """For real, in a grading process: ten minutes of the cluster's."""
    time = SteppedClock()
    StillCluster(scripted, time)
    body = """
        @check(points=1, title="Waits")
        def test_waits(clock, cluster, probe, evidence):
            began = clock.now()
            hold(lambda: cluster.pods() == [], 600)
            assert probe.get("http://web/").ok
            evidence.add("waited", waited=clock.now() - began)
    """
    verdict = run(body, {"time": "cluster"})
    assert verdict.outcome is Outcome.PASSED, verdict.cause
    assert verdict.checks[0].evidence[-1]["waited"] == pytest.approx(600.0, abs=1.0)
    assert time.now() - time.start >= 600.0


def test_both_clocks_are_clocks(scripted: Any) -> None:
    clocks: list[Clock] = [WallClock(), ClusterClock(Connection(scripted.kubeconfig)), SteppedClock()]
    assert len(clocks) == 3
