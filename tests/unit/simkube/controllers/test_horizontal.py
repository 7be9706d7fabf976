"""Autoscalers: what use calls for, how fast they follow it, and what they say when they cannot know."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from simkube.client.client import Obj
from simkube.component_helpers.pods import condition
from simkube.controllers.scaling import Memory, decide
from simkube.controllers.usage import NoMetric, Target, Usage, propose, read
from tests.doubles.control_plane import Plane, reason_of

HPAS = "horizontalpodautoscalers.autoscaling"
NOW = 1_800_000_000.0


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Metrics:
    """A metrics API in which every pod of a name uses the same, or nobody answers."""

    def __init__(self, plane: Plane, cpu: str | None = "0") -> None:
        self.cpu = cpu
        self.plane = plane
        plane.cluster.apiserver.computed["pods.metrics.k8s.io"] = self.pods

    def pods(self, namespace: str, name: str = "") -> Sequence[Obj]:
        del namespace, name
        if self.cpu is None:
            return []
        now = stamp(self.plane.clock.now())
        return [
            {
                "kind": "PodMetrics",
                "apiVersion": "metrics.k8s.io/v1beta1",
                "metadata": {key: pod["metadata"][key] for key in ("name", "namespace", "labels")},
                "timestamp": now,
                "window": "15s",
                "containers": [{"name": "web", "usage": {"cpu": self.cpu, "memory": "10Mi"}}],
            }
            for pod in self.plane.pods()
        ]


@pytest.fixture
def plane() -> Plane:
    plane = Plane()
    plane.node("one")
    plane.deploy(replicas=2, pod={"containers": [CONTAINER]})
    plane.settle()
    for pod in plane.pods():
        started(plane, pod)
    return plane


CONTAINER = {"name": "web", "image": "web:1", "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}}}


def started(plane: Plane, pod: Obj) -> None:
    patch = {"status": {"startTime": stamp(plane.clock.now() - 600)}}
    plane.client.patch("pods", pod["metadata"]["name"], patch, "default", subresource="status")


def autoscale(plane: Plane, **spec: Any) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    body = {"scaleTargetRef": target, "maxReplicas": 10, "metrics": [{"type": "Resource", "resource": cpu}], **spec}
    hpa = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": body}
    plane.client.create(HPAS, hpa, "default")
    plane.settle()


def look(plane: Plane, times: int = 1) -> Obj:
    for _ in range(times):
        plane.settle(15)
        for pod in plane.pods():
            if "startTime" not in pod["status"]:
                started(plane, pod)
    found: Obj = plane.client.get(HPAS, "web", "default")
    return found


def size(plane: Plane) -> int:
    return int(plane.deployment()["spec"]["replicas"])


def test_follows_the_load_up_and_after_a_while_down(plane: Plane) -> None:
    metrics = Metrics(plane, "200m")
    autoscale(plane, minReplicas=1)
    hpa = look(plane)
    assert size(plane) == 4
    assert reason_of(hpa, "ScalingLimited") == "ScaleUpLimit"
    assert reason_of(hpa, "ScalingActive") == "ValidMetricFound"
    (current,) = hpa["status"]["currentMetrics"]
    assert current["resource"]["current"] == {"averageUtilization": 200, "averageValue": "200m"}
    look(plane, 2)
    assert size(plane) == 10
    metrics.cpu = "10m"
    hpa = look(plane)
    assert size(plane) == 10
    assert reason_of(hpa, "AbleToScale") == "ScaleDownStabilized"
    look(plane, 22)
    assert size(plane) < 4
    messages = plane.events("SuccessfulRescale")
    assert "New size: 4; reason: cpu resource utilization (percentage of request) above target" in messages
    assert any(message.endswith("reason: All metrics below target") for message in messages)


def test_small_differences_change_nothing(plane: Plane) -> None:
    Metrics(plane, "54m")
    autoscale(plane)
    hpa = look(plane, 3)
    assert size(plane) == 2
    assert reason_of(hpa, "AbleToScale") == "ReadyForNewScale"


def test_tolerance_can_be_chosen(plane: Plane) -> None:
    Metrics(plane, "54m")
    autoscale(plane, behavior={"scaleUp": {"tolerance": "0.01"}})
    look(plane)
    assert size(plane) == 3


def test_bounds_hold_without_metrics(plane: Plane) -> None:
    autoscale(plane, minReplicas=3)
    hpa = look(plane)
    assert size(plane) == 3
    assert plane.events("SuccessfulRescale") == [
        "New size: 3; reason: Current number of replicas below Spec.MinReplicas"
    ]
    assert hpa["status"]["lastScaleTime"]


def test_says_that_there_are_no_metrics(plane: Plane) -> None:
    autoscale(plane)
    found = condition(look(plane), "ScalingActive") or {}
    wanted = (
        "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for "
        "resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested "
        "resource (get pods.metrics.k8s.io)"
    )
    assert (found["reason"], found["message"]) == ("FailedGetResourceMetric", wanted)
    assert plane.events("FailedComputeMetricsReplicas")[0].startswith(
        "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: failed to get"
    )


def test_says_that_pods_lack_a_request(plane: Plane) -> None:
    Metrics(plane)
    plane.deploy("bare", 1, pod={"containers": [{"name": "web", "image": "web:1"}]})
    autoscale(plane, scaleTargetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "bare"})
    message = (condition(look(plane), "ScalingActive") or {})["message"]
    assert "missing request for cpu in container web of Pod bare-" in message


def test_a_container_of_its_own_choice(plane: Plane) -> None:
    Metrics(plane, "200m")
    source = {"name": "cpu", "container": "web", "target": {"type": "AverageValue", "averageValue": "100m"}}
    autoscale(plane, metrics=[{"type": "ContainerResource", "containerResource": source}])
    hpa = look(plane)
    assert size(plane) == 4
    (current,) = hpa["status"]["currentMetrics"]
    assert current == {
        "type": "ContainerResource",
        "containerResource": {"name": "cpu", "container": "web", "current": {"averageValue": "200m"}},
    }


@pytest.mark.parametrize(
    ("metric", "reason", "message"),
    [
        (
            {
                "type": "Pods",
                "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "1"}},
            },
            "FailedGetPodsMetric",
            "unable to get metric rps: unable to fetch metrics from custom metrics API: no custom metrics API "
            "(custom.metrics.k8s.io) registered",
        ),
        (
            {
                "type": "Object",
                "object": {
                    "metric": {"name": "rps"},
                    "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "web"},
                    "target": {"type": "Value", "value": "1"},
                },
            },
            "FailedGetObjectMetric",
            "unable to get metric rps: unable to fetch metrics from custom metrics API: no custom metrics API "
            "(custom.metrics.k8s.io) registered on Service default/web",
        ),
        (
            {
                "type": "External",
                "external": {
                    "metric": {"name": "queue", "selector": {"matchLabels": {"q": "a"}}},
                    "target": {"type": "Value", "value": "1"},
                },
            },
            "FailedGetExternalMetric",
            "unable to get external metric default/queue/&LabelSelector{MatchLabels:map[string]string{q: a,},"
            "MatchExpressions:[]LabelSelectorRequirement{},}: unable to fetch metrics from external metrics API: the "
            "server could not find the requested resource (get queue.external.metrics.k8s.io)",
        ),
    ],
)
def test_metrics_that_need_an_adapter(plane: Plane, metric: Obj, reason: str, message: str) -> None:
    autoscale(plane, metrics=[metric])
    found = condition(look(plane), "ScalingActive") or {}
    assert found["reason"] == reason
    assert found["message"] == f"the HPA was unable to compute the replica count: {message}"


def test_a_target_that_is_not_there(plane: Plane) -> None:
    autoscale(plane, scaleTargetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "ghost"})
    found = condition(look(plane), "AbleToScale") or {}
    why = "the HPA controller was unable to get the target's current scale"
    assert (found["reason"], found["message"]) == ("FailedGetScale", f'{why}: deployments.apps "ghost" not found')


def test_a_target_of_zero_is_left_alone(plane: Plane) -> None:
    Metrics(plane, "200m")
    plane.scale(0)
    autoscale(plane)
    assert reason_of(look(plane), "ScalingActive") == "ScalingDisabled"
    assert size(plane) == 0


def test_two_autoscalers_for_the_same_pods(plane: Plane) -> None:
    Metrics(plane, "50m")
    autoscale(plane)
    other = plane.client.get(HPAS, "web", "default")
    plane.client.create(HPAS, {**other, "metadata": {"name": "other"}}, "default")
    hpa = look(plane, 3)
    found = condition(hpa, "ScalingActive") or {}
    assert found["reason"] == "AmbiguousSelector"
    assert found["message"] == ("pods by selector app=web are controlled by multiple HPAs: [default/other default/web]")


def test_nothing_is_looked_at_without_an_autoscaler(plane: Plane) -> None:
    Metrics(plane, "50m")
    autoscale(plane)
    look(plane)
    plane.client.delete(HPAS, "web", "default")
    plane.settle()
    done = plane.cluster.work.done
    plane.settle(60)
    assert plane.cluster.work.done == done


# The arithmetic.


def pod(name: str, *, ready: bool = True, phase: str = "Running", age: float = 600) -> Obj:
    state = {"type": "Ready", "status": str(ready), "lastTransitionTime": stamp(NOW - age)}
    return {
        "metadata": {"name": name},
        "spec": {"containers": [CONTAINER]},
        "status": {"phase": phase, "startTime": stamp(NOW - age), "conditions": [state]},
    }


def proposed(pods: list[Obj], usages: dict[str, int], percent: int = 50) -> int:
    found = {name: Usage(value, NOW, 15) for name, value in usages.items()}
    target = Target("cpu", percent, 0)
    return propose(len(pods), target, pods, found, now=NOW, tolerances=(0.1, 0.1)).replicas


def test_pods_that_start_count_as_idle_when_growing() -> None:
    pods = [pod("a"), pod("b", ready=False, age=20), pod("c", phase="Pending")]
    assert proposed(pods, {"a": 200, "b": 500}) == 4
    assert proposed(pods, {"a": 60, "b": 500}) == 3


def test_pods_without_a_figure_count_as_busy_when_shrinking() -> None:
    assert proposed([pod("a"), pod("b")], {"a": 10}) == 2
    assert proposed([pod("a"), pod("b")], {"a": 10, "b": 10}) == 1


def test_no_figures_at_all() -> None:
    with pytest.raises(NoMetric, match="did not receive metrics for any ready pods"):
        proposed([pod("a", ready=False, age=20)], {"a": 10})
    with pytest.raises(NoMetric, match="no pods returned by selector"):
        proposed([], {})
    metrics = [{"metadata": {"name": "a", "namespace": "n"}, "containers": [], "timestamp": "", "window": "15s"}]
    with pytest.raises(NoMetric, match="container web not present in metrics for pod n/a"):
        read(metrics, "cpu", "web")


def rules(**both: Any) -> Obj:
    policy = {"type": "Percent", "value": 100, "periodSeconds": 60}
    default = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [policy]}
    return {name: {**default, **both.get(name, {})} for name in ("scaleUp", "scaleDown")}


def decided(memory: Memory, behavior: Obj, current: int, wanted: int, now: float) -> tuple[int, str]:
    made = decide(memory, behavior, current=current, proposed=wanted, least=1, most=100, now=now)
    memory.scaled(now, current, made.replicas, behavior)
    return made.replicas, made.limited.reason


def test_policies_limit_the_change_in_a_period() -> None:
    memory = Memory()
    behavior = rules(scaleUp={"policies": [{"type": "Pods", "value": 3, "periodSeconds": 60}]})
    assert decided(memory, behavior, 2, 50, 0) == (5, "ScaleUpLimit")
    assert decided(memory, behavior, 5, 50, 30) == (5, "ScaleUpLimit")
    assert decided(memory, behavior, 5, 50, 61) == (8, "ScaleUpLimit")


def test_the_policy_that_is_selected() -> None:
    both = [
        {"type": "Pods", "value": 1, "periodSeconds": 60},
        {"type": "Percent", "value": 50, "periodSeconds": 60},
    ]
    most = rules(scaleDown={"policies": both})
    least = rules(scaleDown={"policies": both, "selectPolicy": "Min"})
    none = rules(scaleDown={"policies": both, "selectPolicy": "Disabled"})
    assert decided(Memory(), most, 10, 1, 0)[0] == 5
    assert decided(Memory(), least, 10, 1, 0)[0] == 9
    assert decided(Memory(), none, 10, 1, 0) == (10, "ScaleDownLimit")


def test_stabilization_takes_the_calmest_proposal() -> None:
    memory, behavior = Memory(), rules(scaleUp={"stabilizationWindowSeconds": 60})
    assert decided(memory, behavior, 5, 5, 0)[0] == 5
    made = decide(memory, behavior, current=5, proposed=9, least=1, most=100, now=30)
    assert (made.replicas, made.able.reason) == (5, "ScaleUpStabilized")
    assert decided(memory, behavior, 5, 9, 61)[0] == 9
