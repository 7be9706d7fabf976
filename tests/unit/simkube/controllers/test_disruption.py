"""Disruption budgets, and the evictions they allow and refuse."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Obj
from tests.doubles.control_plane import NeverReadyKubelet, Plane, ScriptedKubelet, reason_of

BUDGETS = "poddisruptionbudgets.policy"


def cluster(kubelet: type[ScriptedKubelet] = ScriptedKubelet, replicas: int = 3) -> Plane:
    plane = Plane()
    plane.node("one", kubelet)
    plane.deploy(replicas=replicas)
    plane.settle()
    return plane


@pytest.fixture
def plane() -> Plane:
    return cluster()


def budget(plane: Plane, name: str = "web", **spec: Any) -> None:
    body = {"selector": {"matchLabels": {"app": "web"}}, **spec}
    made = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": body}
    plane.client.create(BUDGETS, made, "default")
    plane.settle()


def status(plane: Plane) -> Obj:
    found: Obj = plane.client.get(BUDGETS, "web", "default")["status"]
    return found


def evict(plane: Plane, pod: Obj, **options: Any) -> Obj:
    name = pod["metadata"]["name"]
    body: Obj = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    if options:
        body["deleteOptions"] = options
    return plane.client.create("pods", body, "default", name=name, subresource="eviction")


def refused(plane: Plane, pod: Obj) -> str:
    with pytest.raises(StatusError) as failure:
        evict(plane, pod)
    error = failure.value
    assert (error.code, error.reason) == (429, "TooManyRequests")
    assert error.message == "Cannot evict pod as it would violate the pod's disruption budget."
    (cause,) = (error.details or {})["causes"]
    assert cause["reason"] == "DisruptionBudget"
    return str(cause["message"])


@pytest.mark.parametrize(
    ("spec", "healthy", "allowed"),
    [
        ({"minAvailable": 2}, 2, 1),
        ({"minAvailable": "50%"}, 2, 1),
        ({"maxUnavailable": 1}, 2, 1),
        ({"maxUnavailable": "100%"}, 0, 3),
        ({"minAvailable": "100%"}, 3, 0),
        ({"minAvailable": 10}, 10, 0),
    ],
)
def test_counts(plane: Plane, spec: Obj, healthy: int, allowed: int) -> None:
    budget(plane, **spec)
    found = status(plane)
    numbers = [found[each] for each in ("desiredHealthy", "disruptionsAllowed", "currentHealthy", "expectedPods")]
    assert numbers == [healthy, allowed, 3, 3]


def test_an_eviction_spends_what_is_allowed(plane: Plane) -> None:
    budget(plane, minAvailable=2)
    plane.cluster.kubelets["one"].stop()
    first, second, _ = plane.pods()
    assert evict(plane, first)["status"] == "Success"
    spent = status(plane)
    assert (spent["disruptionsAllowed"], list(spent["disruptedPods"])) == (0, [first["metadata"]["name"]])
    plane.settle()
    assert refused(plane, second) == "The disruption budget web needs 2 healthy pods and has 2 currently"
    plane.cluster.kubelets["one"].start()
    plane.settle(2)
    assert status(plane)["disruptionsAllowed"] == 1
    assert "disruptedPods" not in status(plane)


def test_a_dry_run_asks_and_spends_nothing(plane: Plane) -> None:
    budget(plane, maxUnavailable=1)
    evict(plane, plane.pods()[0], dryRun=["All"])
    assert (len(plane.pods()), status(plane)["disruptionsAllowed"]) == (3, 1)
    budget_zero = {"spec": {"maxUnavailable": 0}}
    plane.client.patch(BUDGETS, "web", budget_zero, "default")
    plane.settle()
    with pytest.raises(StatusError) as failure:
        evict(plane, plane.pods()[0], dryRun=["All"])
    assert failure.value.code == 429


def test_a_budget_that_was_not_looked_at_yet_refuses(plane: Plane) -> None:
    plane.cluster.stop_component("kube-controller-manager")
    budget(plane, minAvailable=1)
    message = refused(plane, plane.pods()[0])
    assert message == "The disruption budget web is still being processed by the server."


def test_preconditions_are_checked_before_anything_is_spent(plane: Plane) -> None:
    budget(plane, maxUnavailable=1)
    pod = plane.pods()[0]
    for wrong in ({"uid": "other"}, {"resourceVersion": "1"}):
        with pytest.raises(StatusError) as failure:
            evict(plane, pod, preconditions=wrong)
        assert failure.value.code == 409
    assert status(plane)["disruptionsAllowed"] == 1
    meta = pod["metadata"]
    right = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    assert evict(plane, pod, preconditions=right)["status"] == "Success"


def test_two_budgets_for_one_pod(plane: Plane) -> None:
    budget(plane, minAvailable=1)
    budget(plane, "other", minAvailable=1)
    with pytest.raises(StatusError, match="more than one PodDisruptionBudget") as failure:
        evict(plane, plane.pods()[0])
    assert failure.value.code == 500


@pytest.mark.parametrize(("policy", "may"), [("AlwaysAllow", True), ("IfHealthyBudget", False), (None, False)])
def test_pods_that_are_not_ready(policy: str | None, may: bool) -> None:
    plane = cluster(NeverReadyKubelet)
    budget(plane, minAvailable=1, **({"unhealthyPodEvictionPolicy": policy} if policy else {}))
    pod = plane.pods()[0]
    if may:
        evict(plane, pod)
    else:
        assert "needs 1 healthy pods and has 0 currently" in refused(plane, pod)


def test_pods_that_run_for_nobody_go_without_asking() -> None:
    plane = Plane()
    plane.pod("waiting", labels={"app": "web"}, schedulerName="nobody")
    budget(plane, minAvailable=1)
    evict(plane, plane.pods()[0])
    assert plane.pods() == []


def test_pods_without_a_controller_are_told_of() -> None:
    plane = Plane()
    plane.node("one")
    plane.pod("bare", labels={"app": "web"})
    plane.settle()
    budget(plane, maxUnavailable=1)
    assert status(plane)["disruptionsAllowed"] == 0
    assert "were found to be unmanaged" in plane.events("UnmanagedPods")[0]


def test_a_controller_without_a_scale_fails_safe() -> None:
    plane = Plane()
    plane.node("one")
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    made = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": spec}
    plane.client.create("daemonsets.apps", made, "default")
    plane.settle()
    budget(plane, maxUnavailable=1)
    found = plane.client.get(BUDGETS, "web", "default")
    assert reason_of(found, "DisruptionAllowed") == "SyncFailed"
    why = "daemonsets.apps does not implement the scale subresource"
    assert refused(plane, plane.pods()[0]) == (
        f"The disruption budget web does not allow evicting pods currently because it failed sync: {why}"
    )


def test_an_announced_disruption_that_does_not_come_is_withdrawn(plane: Plane) -> None:
    name = plane.pods()[0]["metadata"]["name"]
    now = plane.clock.timestamp()
    told = {"type": "DisruptionTarget", "status": "True", "reason": "Test", "lastTransitionTime": now}
    plane.client.patch(
        "pods", name, {"status": {"conditions": [told]}}, "default", type="strategic", subresource="status"
    )
    plane.settle(119)
    assert reason_of(plane.client.get("pods", name, "default"), "DisruptionTarget") == "Test"
    plane.settle(2)
    conditions = plane.client.get("pods", name, "default")["status"]["conditions"]
    assert [each["status"] for each in conditions if each["type"] == "DisruptionTarget"] == ["False"]
