"""Autoscalers in both versions, disruption budgets, priority classes."""

from __future__ import annotations

import json

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.registry.autoscaling import conversion as autoscalers
from tests.unit.simkube.apiserver.kinds.conftest import ME

TARGET = {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}
PREFIX = "autoscaling.alpha.kubernetes.io/"


def scaler(**spec):
    return {"scaleTargetRef": TARGET, "maxReplicas": 4, **spec}


def metric(**target):
    return {"type": "Resource", "resource": {"name": "memory", "target": target}}


def test_an_autoscaler_aims_at_four_fifths_of_the_processor(make) -> None:
    made = make("horizontalpodautoscalers.autoscaling", scaler(behavior={"scaleDown": {"policies": []}}))
    assert made["spec"]["metrics"] == [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    ]
    assert made["spec"]["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert [each["type"] for each in made["spec"]["behavior"]["scaleUp"]["policies"]] == ["Pods", "Percent"]
    assert made["status"] == {"desiredReplicas": 0, "currentMetrics": None}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"minReplicas": 5, "maxReplicas": 2}, "must be greater than or equal to `minReplicas`"),
        ({"minReplicas": 0}, "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1"),
        ({"scaleTargetRef": {"kind": "Deployment"}}, "spec.scaleTargetRef.name: Required value"),
        ({"metrics": [metric(type="Utilization")]}, "must set either a target raw value or a target utilization"),
        ({"metrics": [metric(type="AverageValue", averageValue="0")]}, 'Invalid value: "0": must be positive'),
        ({"metrics": [{"type": "Pods"}]}, "spec.metrics[0].pods: Required value: must populate information"),
        ({"behavior": {"scaleUp": {"selectPolicy": "Most"}}}, 'supported values: "Disabled", "Max", "Min"'),
        ({"behavior": {"scaleDown": {"stabilizationWindowSeconds": 3601}}}, "must be less than or equal to 3600"),
    ],
)
def test_an_autoscaler_is_refused(refuse, spec, message) -> None:
    assert message in refuse("horizontalpodautoscalers.autoscaling", scaler(**spec))


def v1(**parts):
    head = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler"}
    return {**head, "metadata": {"name": "web", **parts.pop("metadata", {})}, "spec": scaler(**parts)}


def test_the_old_version_and_back() -> None:
    old = v1(targetCPUUtilizationPercentage=60, minReplicas=2)
    new = autoscalers.to_v2(old)
    assert new["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 60
    assert autoscalers.to_v1(new) == {**old, "status": {"currentReplicas": 0, "desiredReplicas": 0}}


def test_what_the_old_version_cannot_say_travels_in_annotations() -> None:
    metrics = [
        metric(type="AverageValue", averageValue="200Mi"),
        {
            "type": "Object",
            "object": {
                "describedObject": TARGET,
                "metric": {"name": "hits"},
                "target": {"type": "Value", "value": "10"},
            },
        },
        {"type": "Pods", "pods": {"metric": {"name": "hits"}, "target": {"type": "AverageValue", "averageValue": "1"}}},
        {
            "type": "External",
            "external": {
                "metric": {"name": "queue", "selector": {"matchLabels": {"a": "b"}}},
                "target": {"type": "AverageValue", "averageValue": "3"},
            },
        },
    ]
    behavior = {"scaleDown": {"selectPolicy": "Disabled"}}
    new = {"metadata": {"name": "web"}, "spec": scaler(metrics=metrics, behavior=behavior)}
    old = autoscalers.to_v1(new)
    assert "metrics" not in old["spec"]
    assert json.loads(old["metadata"]["annotations"][f"{PREFIX}metrics"])[0] == {
        "type": "Resource",
        "resource": {"name": "memory", "targetAverageValue": "200Mi"},
    }
    again = autoscalers.to_v2(old)
    assert again["spec"]["metrics"] == metrics
    assert again["spec"]["behavior"] == behavior
    assert "annotations" not in again["metadata"]


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"a": 1}', '[{"type": "Resource", "resource": {"name": 5}}]', "[" * 9999]
)
def test_annotations_that_do_not_hold_what_they_should(text) -> None:
    with pytest.raises(StatusError) as caught:
        autoscalers.to_v2(v1(metadata={"annotations": {f"{PREFIX}metrics": text}}))
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"minAvailable": 1, "maxUnavailable": 1, "selector": {"matchLabels": {"a": "b"}}},
            'spec: Invalid value: {"MinAvailable":1,"Selector":{"matchLabels":{"a":"b"}},"MaxUnavailable":1,'
            '"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set',
        ),
        ({"minAvailable": "150%"}, "must not be greater than 100%"),
        ({"maxUnavailable": -1}, "spec.maxUnavailable: Invalid value: -1"),
        ({"unhealthyPodEvictionPolicy": "Never"}, 'supported values: "AlwaysAllow", "IfHealthyBudget"'),
    ],
)
def test_a_budget_is_refused(refuse, spec, message) -> None:
    assert message in refuse("poddisruptionbudgets.policy", spec)


def test_a_priority_class_is_what_it_is(server) -> None:
    body = {"metadata": {"name": "high"}, "value": 1000}
    made = server.create(ME, "priorityclasses.scheduling.k8s.io", body)
    assert made["preemptionPolicy"] == "PreemptLowerPriority"
    with pytest.raises(StatusError, match="value: Forbidden: may not be changed in an update"):
        server.patch(ME, "priorityclasses.scheduling.k8s.io", "high", {"value": 5})
    with pytest.raises(StatusError, match="maximum allowed value of a user defined priority is 1000000000"):
        server.create(ME, "priorityclasses.scheduling.k8s.io", {"metadata": {"name": "top"}, "value": 2**30 + 1})
    with pytest.raises(StatusError, match="system-mine is not a known system priority class"):
        server.create(ME, "priorityclasses.scheduling.k8s.io", {"metadata": {"name": "system-mine"}, "value": 1})
