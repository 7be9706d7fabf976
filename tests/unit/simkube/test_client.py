"""Informers, their indexes, and the queue behind every reconcile loop."""

from __future__ import annotations

from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkube.apimachinery.errors import StatusError, conflict
from simkube.client.client import Client, Event, Informers, copy_of
from simkube.client.workqueue import Component, WorkLoop
from simkube.clock.clock import Clock
from tests.doubles.control_plane import START, Plane


@pytest.fixture
def plane() -> Plane:
    return Plane()


class Recording(Component):
    """Notes what it reconciles; fails as often as it is told to."""

    name = "recording"

    def __init__(self, plane: Plane, loop: WorkLoop) -> None:
        super().__init__(plane.cluster.gate, loop)
        self.seen: list[Hashable] = []
        self.failures: list[Exception] = []

    def watch(self) -> None:
        pass

    def reconcile(self, key: Hashable) -> None:
        self.seen.append(key)
        if self.failures:
            raise self.failures.pop()


@pytest.fixture
def loop() -> WorkLoop:
    return WorkLoop(Clock(start=START))


def advance(loop: WorkLoop, seconds: float) -> None:
    def settle() -> None:
        loop.run_until_quiet()

    loop.clock.advance(seconds, settle)


@pytest.fixture
def component(plane: Plane, loop: WorkLoop) -> Recording:
    made = Recording(plane, loop)
    made.start()
    return made


def test_an_index_follows_every_change(plane: Plane) -> None:
    pods = plane.cluster.informers.get("pods")
    pods.add_index("app", lambda pod: list((pod["metadata"].get("labels") or {}).values()))
    plane.pod("a", labels={"app": "x"})
    plane.pod("b", labels={"app": "x"})
    assert [pod["metadata"]["name"] for pod in pods.indexed("app", "x")] == ["a", "b"]
    plane.client.patch("pods", "a", {"metadata": {"labels": {"app": "y"}}}, "default")
    assert [pod["metadata"]["name"] for pod in pods.indexed("app", "x")] == ["b"]
    plane.client.delete("pods", "b", "default")
    assert pods.indexed("app", "x") == []
    assert [pod["metadata"]["name"] for pod in pods.indexed("app", "y")] == ["a"]


def test_closing_a_client_leaves_shared_informers_to_the_others(plane: Plane) -> None:
    shared = Informers(plane.cluster.gate)
    one = Client(plane.cluster.gate, "one", plane.clock, informers=shared)
    two = Client(plane.cluster.gate, "two", plane.clock, informers=shared)
    heard: list[str] = []
    one.observe("pods", lambda event: heard.append(f"one {event.type}"))
    two.observe("pods", lambda event: heard.append(f"two {event.type}"))
    one.close()
    plane.pod("a")
    assert heard == ["two ADDED"]


def test_an_observer_is_told_of_what_is_there(plane: Plane) -> None:
    plane.pod("a")
    heard: list[Event] = []
    plane.client.observe("pods", heard.append)
    assert [(event.type, event.obj["metadata"]["name"]) for event in heard] == [("ADDED", "a")]


def test_the_same_item_waits_once(component: Recording, loop: WorkLoop) -> None:
    for _ in range(3):
        component.enqueue("a")
    component.enqueue("b")
    assert loop.run_until_quiet() == 2
    assert component.seen == ["a", "b"]


@pytest.mark.crashes
@pytest.mark.parametrize("failure", [conflict("pods", "a", "stale"), ValueError("a fault")])
def test_a_failure_is_retried_later_and_stops_nobody(
    component: Recording, loop: WorkLoop, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    component.failures = [failure]
    component.enqueue("a")
    component.enqueue("b")
    loop.run_until_quiet()
    assert component.seen == ["a", "b"]
    advance(loop, 1)
    assert component.seen == ["a", "b", "a"]
    assert ("a fault" in caplog.text) == isinstance(failure, ValueError)


def test_back_off_grows_and_ends_when_the_cause_is_gone(component: Recording, loop: WorkLoop) -> None:
    component.failures = [StatusError(500, "InternalError", "no") for _ in range(100)]
    component.enqueue("a")
    advance(loop, 60)
    tries = len(component.seen)
    assert 10 < tries < 20
    component.failures = []
    loop.retry_now()
    loop.run_until_quiet()
    assert len(component.seen) == tries + 1


def test_a_stopped_component_does_nothing(component: Recording, loop: WorkLoop) -> None:
    component.enqueue("a")
    component.enqueue_after("b", 5)
    component.stop()
    loop.run_until_quiet()
    advance(loop, 10)
    assert component.seen == []
    component.start()
    component.enqueue("c")
    loop.run_until_quiet()
    assert component.seen == ["c"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_a_copy_shares_nothing_that_can_change(obj: dict[str, object]) -> None:
    def containers(value: object) -> set[int]:
        if isinstance(value, dict):
            return {id(value)}.union(*(containers(each) for each in value.values()))
        if isinstance(value, list):
            return {id(value)}.union(*(containers(each) for each in value))
        return set()

    copied = copy_of(obj)
    assert copied == obj
    assert not containers(copied) & containers(obj)
