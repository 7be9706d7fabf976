"""When a cluster can be worked with, and what is said of one that cannot."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from labs.clusters import setup
from labs.clusters.dynamic_client import APIError
from labs.clusters.provider import ClusterError
from labs.clusters.setup import COREDNS, KUBE_DNS, wait_for_dns

AVAILABLE = {
    "metadata": {"generation": 2},
    "spec": {"replicas": 2},
    "status": {"observedGeneration": 2, "availableReplicas": 1},
}
SERVED = {"subsets": [{"addresses": [{"ip": "10.244.0.2"}]}]}


class Answers:
    """What is asked of a cluster for DNS, look after look; the last stays. Passes time instead of sleeping."""

    def __init__(self, *looks: dict[str, Any]) -> None:
        self.looks, self.now = list(looks), 0.0

    def request(self, method: str, path: str) -> dict[str, Any]:
        found = self.looks[0].get(path)
        if found is None:
            raise APIError(404, f"{path} not found")
        return copy.deepcopy(found)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if len(self.looks) > 1:
            self.looks.pop(0)


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> Any:
    def wait(*looks: dict[str, Any]) -> Answers:
        answers = Answers(*looks)
        monkeypatch.setattr(setup, "time", answers)
        wait_for_dns(answers, "mine", 30)  # type: ignore[arg-type]  # as much of a client as it uses
        return answers

    return wait


def coredns(**status: Any) -> dict[str, Any]:
    return {**AVAILABLE, "status": {**AVAILABLE["status"], **status}}


def test_dns_is_there_when_a_pod_is_available_and_behind_its_service(waited: Any) -> None:
    assert waited({COREDNS: AVAILABLE, KUBE_DNS: SERVED}).now == 0


def test_it_is_waited_for_step_by_step(waited: Any) -> None:
    answers = waited(
        {},
        {COREDNS: {**AVAILABLE, "status": {}}},
        {COREDNS: coredns(observedGeneration=1), KUBE_DNS: SERVED},  # a status of before
        {COREDNS: AVAILABLE, KUBE_DNS: {}},
        {COREDNS: AVAILABLE, KUBE_DNS: SERVED},
    )
    assert answers.looks == [{COREDNS: AVAILABLE, KUBE_DNS: SERVED}]
    assert answers.now == pytest.approx(4 * setup.LOOK_EVERY)


@pytest.mark.parametrize(
    ("last", "why"),
    [
        ({}, f"its DNS ({COREDNS} not found)"),
        ({COREDNS: coredns(availableReplicas=0), KUBE_DNS: SERVED}, "its DNS (0 of 2 pods of CoreDNS are available)"),
        (
            {COREDNS: AVAILABLE, KUBE_DNS: {"subsets": [{"notReadyAddresses": [{"ip": "10.244.0.2"}]}]}},
            "its DNS (the Service kube-dns has no endpoints)",
        ),
    ],
)
def test_what_is_missing_is_said_when_time_is_over(waited: Any, last: dict[str, Any], why: str) -> None:
    with pytest.raises(ClusterError) as raised:
        waited(last)
    assert str(raised.value) == f"the cluster mine is still waiting for {why} after 30 s"
