"""A lesson on the inside of Kubernetes with kubectl alone: stop time, step, tell the story, break parts and nodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simkube.host.launcher import HostClient
from tests.conformance.conftest import Kubectl, kubectls, learners, which

TOPOLOGY: dict[str, Any] = {
    "kind": "Cluster",
    "nodes": [{"role": "control-plane"}, {"role": "worker"}, {"role": "worker"}],
}
SETTINGS = "apiServer: {extraArgs: {default-unreachable-toleration-seconds: '5'}}"


@pytest.fixture(params=kubectls(), ids=which)
def kubectl(request: pytest.FixtureRequest, host: HostClient, tmp_path: Path) -> Iterator[Kubectl]:
    host.create("a", {**TOPOLOGY, "kubeadmConfigPatches": [SETTINGS]})
    yield Kubectl(request.param, learners(host, "a", tmp_path), "default", (1, 36))
    host.delete("a")


def asked(kubectl: Kubectl, path: str, change: dict[str, Any] | None = None) -> dict[str, Any]:
    """What is below the cluster's address, as kubectl gets at it."""
    if change is None:
        found: dict[str, Any] = json.loads(kubectl(f"get --raw {path}"))
    else:
        found = json.loads(kubectl(f"create --raw {path} -f -", json.dumps(change)))
    return found


def test_a_lesson(kubectl: Kubectl) -> None:
    clock, parts = "/simkube/clock", "/simkube/components"
    asked(kubectl, clock, {"pause": True})
    kubectl("create deployment web --image=kindling/web:1.0 --replicas=4")
    assert "0/4" in kubectl("get deployment web")
    assert kubectl("get pods").strip() == ""
    done = asked(kubectl, clock, {"step": "reconcile"})
    assert done["reconciled"] == {"component": "deployment-controller", "key": "default/web"}
    asked(kubectl, clock, {"step": 5})
    assert "4/4" in kubectl("get deployment web")

    story = asked(kubectl, "/simkube/trace")["entries"]
    root = next(each["id"] for each in story if each["kind"] == "Deployment" and each["user"] == "kubernetes-admin")
    told = "\n".join(each["text"] for each in asked(kubectl, f"/simkube/trace?of={root}")["entries"])
    for who in (
        "deployment-controller created",
        "replicaset-controller created",
        "kube-scheduler changed",
        "kubelet on",
    ):
        assert who in told

    asked(kubectl, parts, {"stop": "kube-scheduler"})
    kubectl("scale deployment web --replicas=6")
    asked(kubectl, clock, {"step": 60})
    assert kubectl("get pods").count("Pending") == 2
    assert "kube-scheduler" not in kubectl("get pods -n kube-system")
    asked(kubectl, parts, {"start": "kube-scheduler"})
    asked(kubectl, clock, {"step": 5})
    assert "6/6" in kubectl("get deployment web")

    asked(kubectl, parts, {"cut": "a-worker"})
    asked(kubectl, clock, {"step": 120})
    assert "NotReady" in kubectl("get node a-worker")
    assert "6/6" in kubectl("get deployment web")
    assert "Terminating" in kubectl("get pods -o wide")
    asked(kubectl, parts, {"start": "node/a-worker"})
    asked(kubectl, clock, {"step": 60})
    assert "NotReady" not in kubectl("get nodes")
    assert "Terminating" not in kubectl("get pods")

    asked(kubectl, parts, {"stop": "etcd"})
    assert "rpc error: code = Unavailable" in kubectl.refused("get pods")
    asked(kubectl, parts, {"start": "etcd"})
    asked(kubectl, clock, {"resume": True})
    assert "Error from server (BadRequest)" in kubectl.refused(f"create --raw {clock} -f -", '{"speed": 1e6}')
