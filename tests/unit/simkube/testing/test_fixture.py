"""``simkube.testing``: a cluster a test, over HTTPS and without, with time that only the test moves."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import kubernetes
import pytest
import yaml

from simkube.apimachinery.errors import HostError, StatusError
from simkube.testing import Cluster, Server
from simkube.testing.duration import seconds

KUBECTL = Path(sys.executable).parent / "kubectl"
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: nginx:1.27
          readinessProbe: {httpGet: {path: /, port: 80}, initialDelaySeconds: 20}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
"""


def available(cluster: Cluster) -> int:
    found: int = cluster.client.get("deployments.apps", "web", "default")["status"].get("availableReplicas", 0)
    return found


def api(cluster: Cluster) -> kubernetes.client.ApiClient:
    """The official client, over HTTPS."""
    return kubernetes.config.new_client_from_config_dict(yaml.safe_load(cluster.kubeconfig))


def test_time_stands_still_until_it_is_moved(simkube_cluster: Cluster) -> None:
    before = simkube_cluster.now
    simkube_cluster.apply(WEB)
    pods = simkube_cluster.client.list("pods", "default", labels="app=web")
    assert len(pods) == 3  # what a write sets going has happened when it returns
    assert all(pod["spec"]["nodeName"] for pod in pods)
    assert available(simkube_cluster) == 0
    assert simkube_cluster.now == before
    simkube_cluster.step("15s")
    assert (simkube_cluster.now - before).total_seconds() == pytest.approx(15)
    assert available(simkube_cluster) == 0  # the probe is first asked after 20 s
    took = simkube_cluster.until(lambda: available(simkube_cluster) == 3, within="1m")
    assert 5 <= took <= 30


def test_the_official_client_over_https(simkube_cluster: Cluster) -> None:
    with api(simkube_cluster) as client:
        core = kubernetes.client.CoreV1Api(client)
        core.create_namespaced_pod("default", yaml.safe_load(POD))
        assert core.read_namespaced_pod("one", "default").spec.node_name == f"{simkube_cluster.name}-control-plane"
        simkube_cluster.step("10s")
        assert core.read_namespaced_pod("one", "default").status.phase == "Running"
        core.delete_namespaced_pod("one", "default", grace_period_seconds=0)
        simkube_cluster.step("2s")
        with pytest.raises(kubernetes.client.ApiException, match="not found"):
            core.read_namespaced_pod("one", "default")


POD = """
apiVersion: v1
kind: Pod
metadata: {name: one}
spec: {containers: [{name: one, image: "busybox:1.36", command: [sleep, "3600"]}]}
"""


def test_kubectl_that_waits_works_while_time_runs(simkube_cluster: Cluster, tmp_path: Path) -> None:
    simkube_cluster.apply(POD)
    config = simkube_cluster.write_kubeconfig(tmp_path / "config")
    kubectl = [str(KUBECTL), "--kubeconfig", str(config), f"--cache-dir={tmp_path}"]
    with simkube_cluster.running(speed=100):
        subprocess.run([*kubectl, "wait", "--for=condition=Ready", "pod/one", "--timeout=60s"], check=True, timeout=60)
        command = [*kubectl, "exec", "one", "--", "sh", "-c", "echo hello from $HOSTNAME"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "hello from one\n"
    before = simkube_cluster.now
    time.sleep(0.02)  # wall time, which must not be the cluster's any more
    assert simkube_cluster.now == before


@pytest.mark.simkube(nodes=3)
def test_a_lost_node_in_five_minutes_of_its_time_and_moments_of_ours(simkube_cluster: Cluster) -> None:
    simkube_cluster.apply(WEB)
    simkube_cluster.until(lambda: available(simkube_cluster) == 3)
    lost = f"{simkube_cluster.name}-worker"
    simkube_cluster.fault("stop-node", lost)
    began = time.process_time()

    def elsewhere() -> bool:
        pods = simkube_cluster.client.list("pods", "default")
        kept = {pod["spec"]["nodeName"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}
        return kept == {f"{simkube_cluster.name}-worker2"}

    assert 300 < simkube_cluster.until(elsewhere, within="10m", every="5s") < 420
    assert time.process_time() - began < 20


def test_what_does_not_come_true_is_a_failure_that_tells_what_happened(simkube_cluster: Cluster) -> None:
    simkube_cluster.apply(POD)
    with pytest.raises(AssertionError, match=r"not within 3 s of cluster time; the last changes:\n(.*\n)*.*[Pp]od"):
        simkube_cluster.until(lambda: False, within="3s")


def test_clusters_are_apart_and_refusals_are_status_errors(simkube_server: Server) -> None:
    with simkube_server.cluster() as one, simkube_server.cluster() as other:
        one.client.create("configmaps", {"metadata": {"name": "mine"}, "data": {"a": "1"}}, "default")
        assert one.client.get("configmaps", "mine", "default")["data"] == {"a": "1"}
        with pytest.raises(StatusError, match='configmaps "mine" not found'):
            other.client.get("configmaps", "mine", "default")
        with pytest.raises(StatusError, match="is invalid"):
            one.client.create("configmaps", {"metadata": {"name": "Not A Name"}}, "default")
        with pytest.raises(HostError, match="no fault 'flood'"):
            one.fault("flood", "x")


def test_a_call_within_a_call_is_refused(simkube_cluster: Cluster) -> None:
    with pytest.raises(RuntimeError, match="own thread already"):
        simkube_cluster.call(lambda _: simkube_cluster.now)


def test_objects_are_the_callers_to_change(simkube_cluster: Cluster) -> None:
    found = simkube_cluster.client.get("namespaces", "default")
    found["metadata"]["labels"] = {"changed": "here"}
    assert "changed" not in simkube_cluster.client.get("namespaces", "default")["metadata"]["labels"]


def test_custom_kinds_are_applied_once_they_are_defined(simkube_cluster: Cluster) -> None:
    cron = {"apiVersion": "example.com/v1", "kind": "Tab", "metadata": {"name": "one"}, "spec": {"every": 3}}
    with pytest.raises(ValueError, match="no kind 'Tab'"):
        simkube_cluster.apply(cron)
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "tabs", "singular": "tab", "kind": "Tab", "listKind": "TabList"}
    simkube_cluster.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "tabs.example.com"},
            "spec": {"group": "example.com", "names": names, "scope": "Cluster", "versions": [version]},
        }
    )
    simkube_cluster.step("1s")
    assert simkube_cluster.apply(cron)[0]["spec"] == {"every": 3}


def test_its_time_begins_when_the_test_says(simkube_server: Server) -> None:
    start = datetime(2031, 5, 1, 12, tzinfo=UTC)
    with simkube_server.cluster(start=start) as cluster:
        assert cluster.now == start
        made = cluster.client.create("configmaps", {"metadata": {"name": "mine"}}, "default")
        assert made["metadata"]["creationTimestamp"] == "2031-05-01T12:00:00Z"
        cluster.step("240h")
        assert cluster.now == datetime(2031, 5, 11, 12, tzinfo=UTC)


def test_images_that_are_not_simulated(simkube_server: Server) -> None:
    pod = POD.replace("busybox:1.36", "ghcr.io/example/operator:v1")
    for images, phase in (("stand-ins", "Running"), ("strict", "Pending")):
        with simkube_server.cluster(images=images) as cluster:
            cluster.apply(pod)
            cluster.step("30s")
            assert cluster.client.get("pods", "one", "default")["status"]["phase"] == phase


def test_a_cluster_takes_milliseconds(simkube_server: Server) -> None:
    simkube_server.cluster().close()  # what is loaded once is loaded
    began = time.process_time()
    for _ in range(10):
        with simkube_server.cluster(nodes=3) as cluster:
            assert len(cluster.client.list("nodes")) == 3
    assert (time.process_time() - began) / 10 < 0.5


@pytest.mark.parametrize(("given", "found"), [(3, 3.0), ("1m30s", 90.0), ("10", 10.0), ("250ms", 0.25), (0.5, 0.5)])
def test_durations(given: float | str, found: float) -> None:
    assert seconds(given) == found


@pytest.mark.parametrize("given", ["soon", -1, float("inf"), "-3s"])
def test_no_durations(given: float | str) -> None:
    with pytest.raises((ValueError, HostError)):
        seconds(given)
