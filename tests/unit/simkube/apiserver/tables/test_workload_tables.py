"""Rows of workloads, jobs, autoscalers, budgets, priority classes and component statuses."""

from __future__ import annotations

import pytest

from simkube.apiserver.http.tables import table
from simkube.apiserver.registry.kinds import RESOURCES, by_path

NOW = 1_000_000_000.0
META = {"name": "a", "namespace": "b", "creationTimestamp": "2001-09-09T01:41:40Z"}
POD = {"spec": {"containers": [{"name": "x", "image": "y"}]}, "metadata": {"labels": {"app": "a"}}}
SELECTOR = {"matchLabels": {"app": "a"}}
TARGET = {"kind": "Deployment", "name": "web"}


def cells(plural: str, **fields: object) -> list:
    return table(RESOURCES[plural], [{"metadata": META, **fields}], NOW)["rows"][0]["cells"]


@pytest.mark.parametrize(
    ("plural", "fields", "wanted"),
    [
        (
            "statefulsets.apps",
            {"spec": {"replicas": 3, "template": POD}, "status": {"readyReplicas": 1}},
            ["a", "1/3", "5m", "x", "y"],
        ),
        (
            "daemonsets.apps",
            {
                "spec": {"selector": SELECTOR, "template": POD},
                "status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 2, "numberReady": 1},
            },
            ["a", 3, 2, 1, 0, 0, "<none>", "5m", "x", "y", "app=a"],
        ),
        (
            "replicationcontrollers",
            {"spec": {"replicas": 2, "selector": {"app": "a"}, "template": POD}, "status": {"replicas": 1}},
            ["a", 2, 1, 0, "5m", "x", "y", "app=a"],
        ),
        ("podtemplates", {"template": POD}, ["a", "x", "y", "app=a"]),
        (
            "jobs.batch",
            {
                "spec": {"completions": 2, "template": POD, "selector": SELECTOR},
                "status": {"succeeded": 1, "startTime": "2001-09-09T01:46:00Z"},
            },
            ["a", "Running", "1/2", "40s", "5m", "x", "y", "app=a"],
        ),
        (
            "jobs.batch",
            {
                "spec": {"parallelism": 3, "template": POD},
                "status": {
                    "startTime": "2001-09-09T01:45:00Z",
                    "completionTime": "2001-09-09T01:45:30Z",
                    "conditions": [{"type": "Complete", "status": "True"}],
                },
            },
            ["a", "Complete", "0/1 of 3", "30s", "5m", "x", "y", "<none>"],
        ),
        (
            "cronjobs.batch",
            {
                "spec": {"schedule": "* * * * *", "timeZone": "Etc/UTC", "jobTemplate": {"spec": {"template": POD}}},
                "status": {"active": [{}], "lastScheduleTime": "2001-09-09T01:46:00Z"},
            },
            ["a", "* * * * *", "Etc/UTC", "False", 1, "40s", "5m", "x", "y", "<none>"],
        ),
        (
            "horizontalpodautoscalers.autoscaling",
            {
                "spec": {
                    "scaleTargetRef": TARGET,
                    "minReplicas": 1,
                    "maxReplicas": 4,
                    "metrics": [
                        {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}},
                        {"type": "Resource", "resource": {"name": "memory", "target": {"averageValue": "1Gi"}}},
                        {"type": "Object", "object": {"target": {"averageValue": "10"}}},
                    ],
                },
                "status": {
                    "currentReplicas": 2,
                    "currentMetrics": [{"type": "Resource", "resource": {"current": {"averageUtilization": 12}}}],
                },
            },
            ["a", "Deployment/web", "cpu: 12%/80%, memory: <unknown>/1Gi + 1 more...", "1", 4, 2, "5m"],
        ),
        (
            "poddisruptionbudgets.policy",
            {"spec": {"maxUnavailable": "25%"}, "status": {"disruptionsAllowed": 1}},
            ["a", "N/A", "25%", 1, "5m"],
        ),
        (
            "priorityclasses.scheduling.k8s.io",
            {"value": 7, "preemptionPolicy": "Never"},
            ["a", 7, False, "5m", "Never"],
        ),
        (
            "componentstatuses",
            {"conditions": [{"type": "Healthy", "status": "False", "message": "no"}]},
            ["a", "Unhealthy", "no", ""],
        ),
    ],
)
def test_rows(plural: str, fields: dict, wanted: list) -> None:
    assert cells(plural, **fields) == wanted


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"conditions": [{"type": "Failed", "status": "True"}]}, "Failed"),
        ({"conditions": [{"type": "Suspended", "status": "True"}]}, "Suspended"),
        ({"conditions": [{"type": "FailureTarget", "status": "True"}]}, "FailureTarget"),
        ({"conditions": [{"type": "Suspended", "status": "False"}]}, "Running"),
    ],
)
def test_the_state_of_a_job(changes: dict, wanted: str) -> None:
    assert cells("jobs.batch", spec={"template": POD}, status=changes)[1] == wanted


def test_an_old_autoscaler_shows_what_it_aims_at() -> None:
    resource = by_path("autoscaling", "v1", "horizontalpodautoscalers")
    assert resource is not None
    spec = {"scaleTargetRef": TARGET, "minReplicas": 2, "maxReplicas": 4, "targetCPUUtilizationPercentage": 60}
    found = table(resource, [{"metadata": META, "spec": spec, "status": {"currentReplicas": 0}}], NOW)
    assert found["rows"][0]["cells"][2:5] == ["cpu: <unknown>/60%", "2", 4]


def test_the_number_of_a_template_is_no_annotation_to_a_table() -> None:
    annotations = {"deprecated.daemonset.template.generation": "1", "own": "a"}
    found = table(RESOURCES["daemonsets.apps"], [{"metadata": {**META, "annotations": annotations}}], NOW)
    assert found["rows"][0]["object"]["metadata"]["annotations"] == {"own": "a"}
