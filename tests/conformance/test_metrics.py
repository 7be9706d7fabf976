"""What pods and nodes use is known on every provider, to ``kubectl top`` and to whoever scales by it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from labs.clusters.dynamic_client import DynamicClient
from labs.clusters.provider import Handle, Provider
from tests.conformance.conftest import Kubectl, kubectls
from tests.conftest import SharedClusters, shared_spec

PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "busy"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "busy"}},
        "template": {
            "metadata": {"labels": {"app": "busy"}},
            "spec": {
                "containers": [
                    {"name": "web", "image": "kindling/web:1.0", "resources": {"requests": {"cpu": "50m"}}},
                ]
            },
        },
    },
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "busy"},
    "spec": {"selector": {"app": "busy"}, "ports": [{"port": 80, "targetPort": 8080}]},
}
SCALER = {
    "apiVersion": "autoscaling/v1",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "busy"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "busy"},
        "minReplicas": 1,
        "maxReplicas": 3,
        "targetCPUUtilizationPercentage": 50,
    },
}
CLIENT = {
    "metadata": {"name": "client"},
    "spec": {"containers": [{"name": "client", "image": "kindling/web:1.0", "args": ["probe"]}]},
}


@pytest.fixture(scope="module")
def measured(provider: Provider, clusters: SharedClusters) -> Handle:
    """A cluster for a lab that needs metrics, with an application that is scaled by them."""
    spec = dataclasses.replace(shared_spec(setup=[DEPLOYMENT, SERVICE]), metrics=True)
    return clusters.at_start(provider, spec)[0]


@pytest.fixture(scope="module")
def top(provider: Provider, measured: Handle, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    path = tmp_path_factory.mktemp("metrics") / "config"
    path.write_text(provider.credentials(measured, "learner"))
    return Kubectl(kubectls()[0], path, "default", (0, 0))


def test_kubectl_top_says_what_nodes_and_pods_use(top: Kubectl) -> None:
    nodes = top.until("top nodes --no-headers", lambda out: "control-plane" in out)
    name, cores, _, memory, _ = nodes.split()
    assert cores.endswith("m")
    assert memory.endswith("Mi")
    assert int(memory.removesuffix("Mi")) > 50, name
    pods = top.until("top pods --selector app=busy --no-headers", lambda out: "busy" in out)
    assert pods.split()[2].endswith("Mi")
    found = top.until("top pods --selector app=busy --containers --no-headers", lambda out: "web" in out)
    assert found.split()[1] == "web"
    assert "busy" not in top("top pods --selector app=another --no-headers")


def test_an_autoscaler_scales_by_it(provider: Provider, measured: Handle, top: Kubectl) -> None:
    top("apply -f -", json.dumps(SCALER))
    with DynamicClient(provider.credentials(measured, "grader")) as objects:
        objects.request("POST", PODS, CLIENT)
        top("wait --for condition=Ready pod/client --timeout 60s")
        work = {"url": "http://busy.default/work?ms=150", "interval_ms": 100, "timeout_ms": 5000}
        objects.proxied(f"{PODS}/client:8080", "/traffic", work)
        top.until("get deployment busy -o jsonpath={.spec.replicas}", lambda out: int(out) > 1, seconds=240)
        scaled = top.json("get hpa busy")
        assert scaled["status"]["currentReplicas"] >= 1
        objects.request("DELETE", f"{PODS}/client?gracePeriodSeconds=0")


def test_who_asks_the_server_itself_is_not_answered(provider: Provider, measured: Handle) -> None:
    if provider.name == "simulated":
        pytest.skip("a simulated cluster's is part of its API server")
    with DynamicClient(provider.credentials(measured, "grader")) as objects:
        name = objects.request("GET", "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dmetrics-server")
        (pod,) = (one["metadata"]["name"] for one in name["items"])
        path = f"/api/v1/namespaces/kube-system/pods/https:{pod}:4443"
        with pytest.raises(Exception, match="401"):
            objects.request("GET", f"{path}/proxy/apis/metrics.k8s.io/v1beta1/nodes")
