"""Which times are moved, for whom, and by how much."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.apiserver.tables.presentation import Shown, moved, shift, shown

DESCRIBE = {"Kubectl-Command": "kubectl describe"}
POD: dict[str, Any] = {
    "kind": "Pod",
    "metadata": {
        "creationTimestamp": "2026-01-01T00:10:00Z",
        "annotations": {"time": "2026-01-01T00:10:00Z"},
        "managedFields": [{"time": "2026-01-01T00:10:00Z", "fieldsV1": {"f:status": {"f:startTime": {}}}}],
    },
    "spec": {"startTime": "2026-01-01T00:10:00Z"},
    "status": {
        "startTime": "2026-01-01T00:10:01Z",
        "conditions": [{"lastProbeTime": None, "lastTransitionTime": "2026-01-01T00:10:02Z"}],
        "containerStatuses": [{"state": {"terminated": {"startedAt": "1970-01-01T00:00:00Z", "exitCode": 128}}}],
    },
}


class At:
    """A clock that is so many seconds ahead of the wall's."""

    def __init__(self, ahead: float) -> None:
        self.ahead = ahead

    def now(self) -> float:
        return 1000.0 + self.ahead

    def wall(self) -> float:
        return 1000.0


@pytest.mark.parametrize(
    ("command", "ahead", "seconds"),
    [
        ("kubectl describe", 600.0, -600.0),
        ("kubectl get", -30.0, 30.0),
        ("kubectl describe", 0.0, 0.0),
        ("kubectl describe", 0.4, 0.0),
        ("kubectl edit", 600.0, 0.0),
        ("kubectl apply", 600.0, 0.0),
        ("", 600.0, 0.0),
    ],
)
def test_who_gets_times_moved(command: str, ahead: float, seconds: float) -> None:
    assert shift({"Kubectl-Command": command} if command else {}, At(ahead)) == seconds


def test_what_the_cluster_wrote_is_moved_and_nothing_else() -> None:
    found = shown(POD, -600)
    assert found["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert found["metadata"]["managedFields"][0]["time"] == "2026-01-01T00:00:00Z"
    assert found["status"]["startTime"] == "2026-01-01T00:00:01Z"
    assert found["status"]["conditions"] == [{"lastProbeTime": None, "lastTransitionTime": "2026-01-01T00:00:02Z"}]
    assert found["status"]["containerStatuses"] == POD["status"]["containerStatuses"], "never stays never"
    assert (found["spec"], found["metadata"]["annotations"]) == (POD["spec"], POD["metadata"]["annotations"])
    assert POD["status"]["startTime"] == "2026-01-01T00:10:01Z", "what is stored stays as it is"
    assert shown(POD, 0.0) is POD


def test_kinds_that_hold_times_elsewhere_and_kinds_of_users() -> None:
    event = {"kind": "Event", "eventTime": "2026-01-01T00:10:00.123456Z", "series": {"lastObservedTime": None}}
    assert shown(event, -600)["eventTime"] == "2026-01-01T00:00:00.123456Z"
    lease = {"kind": "Lease", "spec": {"renewTime": "2026-01-01T00:10:00.000000Z"}}
    of_node = {**lease, "metadata": {"namespace": "kube-node-lease"}}
    assert shown(of_node, -600)["spec"]["renewTime"] == "2026-01-01T00:00:00.000000Z"
    assert shown({**lease, "metadata": {"namespace": "default"}}, -600)["spec"] == lease["spec"]
    theirs = {**POD, "kind": "Event"}
    found = shown(theirs, -600, custom=True)
    assert found["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert found["status"] == POD["status"]


def test_a_list_is_moved_as_it_is_taken() -> None:
    found = Shown([POD, POD], 60, custom=False)
    assert (len(found), found[0]["status"]["startTime"], len(found[1:])) == (2, "2026-01-01T00:11:01Z", 1)


@pytest.mark.parametrize("stamp", ["", "yesterday", "0001-01-01T00:00:00Z"])
def test_what_cannot_be_moved_stays(stamp: str) -> None:
    assert moved(stamp, -1e9) == stamp
