"""Webhooks that lead to pods, APIServices and figures with each kubectl there is, on a simulated cluster."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from simkube.host.launcher import HostClient
from tests.conformance.conftest import Kubectl, kubectls, learners, which
from tests.unit.simkube.certificates import Authority

FILES = ["--tls-cert-file=/certs/tls.crt", "--tls-private-key-file=/certs/tls.key"]
SIDECAR = "--sidecar-image=registry.k8s.io/pause:3.10"
NOBODY = """
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.x.example.org}
spec:
  {group: x.example.org, version: v1, groupPriorityMinimum: 100, versionPriority: 10, service: {name: a, namespace: b}}
"""
LABEL = {"matchLabels": {"inject": "yes"}}


def objects(authority: Authority) -> str:
    chain, key = authority.server(("hooks.default.svc",))
    data = {"tls.crt": base64.b64encode(chain).decode(), "tls.key": base64.b64encode(key).decode()}
    probe = {"httpGet": {"path": "/readyz", "port": 8443, "scheme": "HTTPS"}, "periodSeconds": 1}
    container = {
        "name": "hooks",
        "image": "registry.k8s.io/e2e-test-images/agnhost:2.53",
        "args": ["webhook", "--port=8443", SIDECAR, *FILES],
        "readinessProbe": probe,
        "volumeMounts": [{"name": "certs", "mountPath": "/certs"}],
    }
    pod = {"containers": [container], "volumes": [{"name": "certs", "secret": {"secretName": "certs"}}]}
    meta = {"name": "hooks", "labels": {"app": "hooks"}}
    made = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "certs"},
            "type": "kubernetes.io/tls",
            "data": data,
        },
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "hooks"},
            "spec": {"selector": {"app": "hooks"}, "ports": [{"port": 443, "targetPort": 8443}]},
        },
        configuration(authority, "Mutating", "sidecars", "/mutating-pods-sidecar", "pods"),
        configuration(authority, "Validating", "slow", "/always-allow-delay-5s", "configmaps"),
        configuration(authority, "Validating", "deny", "/always-deny", "secrets"),
    ]
    return yaml.safe_dump_all(made)


def configuration(authority: Authority, kind: str, name: str, path: str, resource: str) -> dict[str, object]:
    service = {"name": "hooks", "namespace": "default", "path": path}
    rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": [resource]}
    hook = {
        "name": f"{name}.example.org",
        "clientConfig": {"service": service, "caBundle": base64.b64encode(authority.pem).decode()},
        "rules": [rule],
        "namespaceSelector": LABEL,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    api = "admissionregistration.k8s.io/v1"
    return {"apiVersion": api, "kind": f"{kind}WebhookConfiguration", "metadata": {"name": name}, "webhooks": [hook]}


@pytest.fixture(params=kubectls(), ids=which)
def kubectl(request: pytest.FixtureRequest, host: HostClient, tmp_path: Path) -> Iterator[Kubectl]:
    """One kubectl and a cluster of its own with one node."""
    name = f"hooks-{which(request.param)}"
    host.create(name, {"nodes": [{"role": "control-plane"}]})
    yield Kubectl(request.param, learners(host, name, tmp_path), "default", (1, 36))
    host.delete(name)


def test_a_sidecar_for_every_pod_a_slow_one_and_a_refusal(kubectl: Kubectl) -> None:
    kubectl("apply -f -", stdin=objects(Authority(datetime.now(UTC))))
    kubectl("wait --for=condition=Ready pod/hooks --timeout=60s")
    kubectl("create namespace x")
    kubectl("label namespace x inject=yes")
    kubectl("create deployment web -n x --image=nginx:1.27 --replicas=2")
    kubectl("rollout status deployment/web -n x --timeout=60s")
    pods = kubectl.json("get pods -n x")["items"]
    assert [[each["name"] for each in pod["spec"]["containers"]] for pod in pods] == [
        ["nginx", "webhook-added-sidecar"]
    ] * 2
    assert "configmap/late created" in kubectl("create configmap late -n x")
    refused = kubectl.refused("create secret generic s -n x")
    assert 'admission webhook "deny.example.org" denied the request: this webhook denies all requests' in refused


def test_api_services_and_figures(kubectl: Kubectl) -> None:
    lines = {line.split()[0]: line.split()[1:3] for line in kubectl("get apiservices").splitlines()[1:]}
    assert lines["v1.apps"] == lines["v1beta1.metrics.k8s.io"] == ["Local", "True"]
    kubectl("apply -f -", stdin=NOBODY)
    kubectl("wait apiservice v1.x.example.org --for=condition=Available=False --timeout=20s")
    assert "ServiceNotFound" in kubectl("get apiservice v1.x.example.org")
    refused = kubectl.refused("get --raw /apis/x.example.org/v1")
    assert "currently unable to handle the request" in refused
    assert "apiserver_request_total{" in kubectl("get --raw /metrics")
    (node,) = kubectl.json("get nodes")["items"]
    page = f"/api/v1/nodes/{node['metadata']['name']}/proxy"
    assert kubectl(f"get --raw {page}/healthz") == "ok"
    assert "machine_cpu_cores 4" in kubectl(f"get --raw {page}/metrics/cadvisor")
