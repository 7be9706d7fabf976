"""Volumes and placement as a course uses them, with the real kubectl: data that stays, pods that wait and yield."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from simkube.host import launcher
from simkube.host.launcher import HostClient
from tests.conformance.conftest import Runner, kubectls, learners, topology

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: box
    image: busybox:1.36
    command: [sleep, "100000"]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes:
  - name: data
    persistentVolumeClaim: {claimName: data}
"""


@pytest.fixture(scope="module")
def host(host: HostClient) -> HostClient:
    """With a cluster of three nodes."""
    host.create("a", topology("three-node"))
    return host


@pytest.fixture
def kubectl(host: HostClient, home: Path, tmp_path: Path) -> Runner:
    """On whatever host process serves the cluster by now: tests kill it."""
    return Runner(kubectls()[0], learners(launcher.connect(home), "a", tmp_path))


def host_pid(home: Path) -> int:
    """The process that serves the clusters of ``home``."""
    return int(launcher.connect(home).health()["pid"])


def test_a_claim_from_its_first_pod_to_its_end(kubectl: Runner, home: Path) -> None:
    assert "standard (default)   rancher.io/local-path   Delete          WaitForFirstConsumer   false" in kubectl(
        "get", "storageclass"
    )
    kubectl("apply", "-f", "-", given=CLAIM)
    assert "Pending" in kubectl("get", "pvc", "data")
    assert "waiting for first consumer to be created before binding" in kubectl("describe", "pvc", "data")
    kubectl("apply", "-f", "-", given=POD.replace("NAME", "first"))
    kubectl("wait", "pod/first", "--for=condition=Ready", "--timeout=60s")
    columns = kubectl("get", "pvc", "data", "--no-headers").split()
    assert [columns[1], columns[3], columns[4], columns[5]] == ["Bound", "1Gi", "RWO", "standard"]
    assert "default/data" in kubectl("get", "pv", columns[2])
    assert "Used By:       first" in kubectl("describe", "pvc", "data")
    kubectl("exec", "first", "--", "sh", "-c", "echo kept > /data/file")
    os.kill(host_pid(home), signal.SIGKILL)
    learners(launcher.connect(home), "a", kubectl.kubeconfig.parent)
    assert kubectl("exec", "first", "--", "cat", "/data/file") == "kept\n"
    kubectl("delete", "pod", "first")
    kubectl("apply", "-f", "-", given=POD.replace("NAME", "second"))
    kubectl("wait", "pod/second", "--for=condition=Ready", "--timeout=60s")
    assert kubectl("exec", "second", "--", "cat", "/data/file") == "kept\n"
    kubectl("delete", "pvc", "data", "--wait=false")
    assert "Terminating" in kubectl("get", "pvc", "data")
    kubectl("delete", "pod", "second")
    kubectl("wait", "--for=delete", f"pv/{columns[2]}", "--timeout=30s")
    assert "NotFound" in kubectl("get", "pvc", "data", fails=True)


def pod(name: str, cpu: str, **spec: object) -> str:
    """A manifest (JSON is YAML)."""
    container = {"name": "a", "image": "nginx", "resources": {"requests": {"cpu": cpu}}}
    whole = {"terminationGracePeriodSeconds": 0, "containers": [container], **spec}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": whole})


def test_a_pod_that_fits_nowhere_says_why_and_a_more_important_one_takes_its_place(kubectl: Runner) -> None:
    kubectl("create", "priorityclass", "urgent", "--value=1000")
    kubectl("apply", "-f", "-", given=pod("huge", "100"))
    kubectl("wait", "pod/huge", "--for=jsonpath={.status.conditions[0].reason}=Unschedulable", "--timeout=30s")
    why = "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu."
    assert why in kubectl("describe", "pod", "huge")
    workers = "!node-role.kubernetes.io/control-plane"
    cpu = kubectl("get", "nodes", "-l", workers, "-o=jsonpath={.items[0].status.allocatable.cpu}")
    most = f"{int(cpu) * 1000 - 300}m"
    kubectl("apply", "-f", "-", given=pod("one", most))
    kubectl("apply", "-f", "-", given=pod("two", most))
    kubectl("wait", "pod/one", "pod/two", "--for=condition=PodScheduled", "--timeout=30s")
    kubectl("apply", "-f", "-", given=pod("urgent", most, priorityClassName="urgent"))
    kubectl("wait", "pod/urgent", "--for=condition=PodScheduled", "--timeout=30s")
    left = kubectl("get", "pods", "-o=jsonpath={.items[*].metadata.name}").split()
    assert len({"one", "two"} & set(left)) == 1
    assert "Preempted" in kubectl("get", "events")
