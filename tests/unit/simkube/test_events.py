"""Events: counted, combined, limited, forgotten."""

from __future__ import annotations

import pytest

from simkube.client.client import Obj
from simkube.client.events import MOST_EVENTS, Recorder, SeriesRecorder
from tests.doubles.control_plane import Plane


@pytest.fixture
def plane() -> Plane:
    return Plane()


@pytest.fixture
def pod(plane: Plane) -> Obj:
    return plane.pod("a", schedulerName="nobody")


def written(plane: Plane) -> list[Obj]:
    return plane.client.list("events", "default")


def test_carries_what_describe_shows(plane: Plane, pod: Obj) -> None:
    Recorder(plane.client, "kubelet", "one").event(pod, "Warning", "BackOff", "m", field_path="spec.containers{a}")
    (event,) = written(plane)
    assert event["source"] == {"component": "kubelet", "host": "one"}
    assert (event["reportingComponent"], event["reportingInstance"]) == ("kubelet", "one")
    assert event["involvedObject"]["fieldPath"] == "spec.containers{a}"
    assert event["involvedObject"]["uid"] == pod["metadata"]["uid"]
    assert event["firstTimestamp"] == event["lastTimestamp"] == plane.clock.timestamp()


def test_a_repetition_counts_up(plane: Plane, pod: Obj) -> None:
    recorder = Recorder(plane.client, "x")
    first = plane.clock.timestamp()
    for _ in range(3):
        recorder.event(pod, "Normal", "R", "same")
        plane.settle(10)
    (event,) = written(plane)
    assert (event["count"], event["firstTimestamp"]) == (3, first)
    assert event["lastTimestamp"] > first


def test_an_event_that_expired_is_written_anew(plane: Plane, pod: Obj) -> None:
    recorder = Recorder(plane.client, "x")
    recorder.event(pod, "Normal", "R", "same")
    plane.settle(3700)
    assert written(plane) == []
    recorder.event(pod, "Normal", "R", "same")
    assert [event["count"] for event in written(plane)] == [1]


def test_a_burst_is_limited(plane: Plane, pod: Obj) -> None:
    recorder = Recorder(plane.client, "x")
    for _ in range(100):
        recorder.event(pod, "Normal", "R", "same")
    assert [event["count"] for event in written(plane)] == [25]
    plane.settle(301)
    recorder.event(pod, "Normal", "R", "same")
    assert [event["count"] for event in written(plane)] == [26]


def test_similar_messages_are_combined(plane: Plane, pod: Obj) -> None:
    recorder = Recorder(plane.client, "x")
    for number in range(15):
        recorder.event(pod, "Normal", "R", f"number {number}")
    combined = [event for event in written(plane) if event["message"].startswith("(combined from similar events): ")]
    assert len(written(plane)) == 10
    assert [event["count"] for event in combined] == [6]


def test_a_series_is_written_when_it_begins(plane: Plane, pod: Obj) -> None:
    recorder = SeriesRecorder(plane.client, "default-scheduler", "default-scheduler-one")
    for _ in range(5):
        recorder.event(pod, "Warning", "FailedScheduling", "Scheduling", "no room")
        plane.settle(1)
    (event,) = written(plane)
    assert event["series"]["count"] == 2
    assert (event["message"], event["reportingComponent"]) == ("no room", "default-scheduler")


def test_nothing_fails_because_of_an_event(plane: Plane, pod: Obj) -> None:
    ghost = {**pod, "metadata": {**pod["metadata"], "namespace": "gone"}}
    Recorder(plane.client, "x").event(ghost, "Normal", "R", "m")
    SeriesRecorder(plane.client, "x", "y").event(ghost, "Normal", "R", "a", "m")
    assert written(plane) == []


def test_a_storm_does_not_fill_the_cluster(plane: Plane) -> None:
    recorder = Recorder(plane.client, "x")
    for number in range(MOST_EVENTS * 2):
        recorder.event({"kind": "Pod", "namespace": "default", "name": f"p{number}"}, "Normal", "R", "m")
        if number % 100 == 0:
            plane.settle()
    plane.settle()
    left = written(plane)
    assert MOST_EVENTS <= len(left) <= MOST_EVENTS * 1.2 + 1
    assert "p0" not in [event["involvedObject"]["name"] for event in left]
