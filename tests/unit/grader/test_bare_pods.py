"""Pods that nobody controls are made again when they are gone, however long they take to go."""

from __future__ import annotations

from typing import Any

import pytest

from grader import limits
from grader.bare_pods import EVERY, BarePods
from grader.cluster import Cluster
from grader.connection import Connection
from grader.errors import ClusterUnreachable
from grader.objects import Pod
from tests.doubles.api_server import CORE, pod
from tests.doubles.clock import SteppedClock

PODS = f"{CORE}/pods"


class World:
    """Pods on their way out of a scripted cluster; what is asked of it, with bodies, is in ``asked``."""

    def __init__(self, scripted: Any) -> None:
        self.objects, self.clock = scripted.objects, SteppedClock()
        self.bare_pods = BarePods(Cluster(Connection(scripted.kubeconfig), "default"), self.clock)
        self.asked: list[tuple[str, str, Any]] = []
        self._usual = scripted.handle
        scripted.handle = self.handle

    def handle(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        if method != "GET":
            self.asked.append((method, target.rpartition("/")[2], body))
        if method == "DELETE":  # its kubelet is told, and lets it go in its time
            return 200, self.objects[target]
        answer: tuple[int, Any] = self._usual(method, target, body)
        return answer

    def going(self, name: str, grace: int, gone_after: float | None = None, **meta: Any) -> Pod:
        """A pod that is being deleted; it goes so much later, or never."""
        going = {"deletionTimestamp": "2026-11-23T02:00:00Z", "deletionGracePeriodSeconds": grace, **meta}
        self.objects[f"{PODS}/{name}"] = pod(name, meta=going)
        if gone_after is not None:
            self.clock.at(gone_after, lambda: self.objects.pop(f"{PODS}/{name}"))
        return Pod(pod(name, meta=going))


@pytest.fixture
def world(scripted: Any) -> World:
    return World(scripted)


def test_a_pod_is_given_its_own_grace(world: World) -> None:
    pods = [world.going("web", 50, gone_after=70), world.going("quick", 2, gone_after=3)]
    world.bare_pods.make_again(pods)
    made = [world.objects[f"{PODS}/{one.name}"] for one in pods]
    assert [one["metadata"]["uid"] for one in made] != [one.uid for one in pods]
    assert [one["metadata"].get("deletionTimestamp") for one in made] == [None, None]
    assert [method for method, *_ in world.asked] == ["POST", "POST"]


def test_a_grace_that_an_attempt_has_no_time_for_is_cut_short_for_all_at_once(world: World) -> None:
    pods = [world.going(name, 3600, gone_after=limits.GRACE_SECONDS + 1) for name in ("one", "two")]
    world.bare_pods.make_again(pods)
    assert [(method, name) for method, name, _ in world.asked[:2]] == [("DELETE", "one"), ("DELETE", "two")]
    assert [body["gracePeriodSeconds"] for *_, body in world.asked[:2]] == [limits.GRACE_SECONDS] * 2
    assert [body["preconditions"] for *_, body in world.asked[:2]] == [{"uid": one.uid} for one in pods]
    assert [method for method, *_ in world.asked[2:]] == ["POST", "POST"]


def test_finalizers_keep_nobody_waiting_and_are_there_again(world: World) -> None:
    held = world.going("held", 30, gone_after=31, finalizers=["example.com/never"])
    world.bare_pods.make_again([held])
    (patch, made) = world.asked
    assert patch == ("PATCH", "held", {"metadata": {"finalizers": None}})
    assert made[2]["metadata"]["finalizers"] == ["example.com/never"]


def test_one_that_does_not_go_is_said(world: World) -> None:
    stuck = world.going("stuck", 10)
    with pytest.raises(ClusterUnreachable, match="pod stuck is still being deleted after 100 s"):
        world.bare_pods.make_again([stuck])
    assert world.clock.now() - world.clock.start == pytest.approx(10 + limits.ENDED_SECONDS, abs=EVERY)


def test_one_that_is_there_or_was_replaced_is_left_alone(world: World) -> None:
    there = Pod(pod("there"))
    world.objects[f"{PODS}/there"] = dict(there.raw)
    replaced = Pod(pod("replaced"))
    world.objects[f"{PODS}/replaced"] = pod("replaced", meta={"uid": "another"})
    world.bare_pods.make_again([there, replaced])
    assert world.asked == []
    assert world.clock.sleeps == []


@pytest.mark.parametrize(
    ("meta", "spec", "grace"),
    [
        ({}, {"terminationGracePeriodSeconds": 45}, 45),
        ({"deletionGracePeriodSeconds": 5}, {"terminationGracePeriodSeconds": 45}, 5),
        ({"deletionGracePeriodSeconds": 0}, {"terminationGracePeriodSeconds": 45}, 0),
    ],
)
def test_the_grace_of_a_pod_is_what_it_was_deleted_with_or_else_asks_for(meta: Any, spec: Any, grace: int) -> None:
    assert Pod({"metadata": meta, "spec": spec}).grace == grace
