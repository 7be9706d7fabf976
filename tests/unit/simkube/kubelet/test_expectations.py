"""Stand-ins in a whole cluster: what pods let expect of containers whose images are not simulated."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.client.client import Caller, Client
from simkube.clock.clock import Clock
from simkube.cluster.cluster import Cluster
from simkube.etcd.journal import Journal
from simkube.etcd.store import Store
from simkube.kubelet import expectations

ME = Caller("learner", ("system:masters",), "kubectl")
IMAGE = "ghcr.io/somebody/thing:v2"


@pytest.mark.parametrize(
    ("container", "ports"),
    [
        ({}, []),
        ({"ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]}, [(80, "http")]),
        (
            {"ports": [{"containerPort": 80, "name": "web"}], "livenessProbe": {"httpGet": {"port": "web"}}},
            [(80, "http")],
        ),
        ({"readinessProbe": {"httpGet": {"port": 8443, "scheme": "HTTPS"}}}, [(8443, "https")]),
        ({"startupProbe": {"tcpSocket": {"port": 5432}}}, [(5432, "http")]),
        ({"startupProbe": {"httpGet": {"port": 5432, "host": "elsewhere"}}}, []),
        ({"readinessProbe": {"httpGet": {"port": "missing"}}}, []),
    ],
)
def test_ports_are_those_that_are_declared_or_probed(container: dict[str, Any], ports: list[Any]) -> None:
    assert expectations.ports({"name": "main", **container}) == ports


@pytest.mark.parametrize(
    ("pod", "container", "role", "ends"),
    [
        ({}, {}, "container", False),
        ({}, {}, "init", True),
        ({}, {"restartPolicy": "Always"}, "sidecar", False),
        ({"restartPolicy": "Never"}, {}, "container", True),
        ({"restartPolicy": "OnFailure"}, {"ports": [{"containerPort": 80}]}, "container", False),
    ],
)
def test_what_must_end_ends(pod: dict[str, Any], container: dict[str, Any], role: str, ends: bool) -> None:
    assert expectations.ends(pod, container, role) is ends


def run(spec: dict[str, Any], *, stand_ins: bool) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The status of a pod after a while, and the events of its cluster."""
    topology = {"kind": "Cluster", "nodes": [{"role": "control-plane"}]}
    cluster = Cluster("lab", Store(Journal(None), "lab"), Clock(1_767_225_600.0), topology, stand_ins=stand_ins)
    cluster.start()
    cluster.run_until_quiet()
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
    cluster.apiserver.create(ME, "pods", pod, "default")
    cluster.advance(20)
    events = Client(cluster.apiserver, "kubectl", cluster.clock).list("events")
    return cluster.apiserver.get(ME, "pods", "web", "default")["status"], events


SERVER = {
    "name": "main",
    "image": IMAGE,
    "ports": [{"containerPort": 8443}],
    "startupProbe": {"exec": {"command": ["/bin/thing-healthy"]}},
    "readinessProbe": {"httpGet": {"port": 8443, "path": "/readyz", "scheme": "HTTPS"}, "periodSeconds": 1},
    "livenessProbe": {"exec": {"command": ["sh", "-c", "thingctl ping"]}, "periodSeconds": 1, "failureThreshold": 1},
    "lifecycle": {"postStart": {"exec": {"command": ["/bin/thing-setup"]}}},
}
FIRST = {"name": "first", "image": IMAGE}


def test_a_pod_of_stand_ins_becomes_ready_and_is_marked() -> None:
    status, events = run(
        {"initContainers": [{"name": "first", "image": IMAGE}], "containers": [SERVER]}, stand_ins=True
    )
    (container,) = status["containerStatuses"]
    assert (container["ready"], container["restartCount"]) == (True, 0)
    assert container["imageID"].startswith("stand-in://ghcr.io/somebody/thing@sha256:")
    told = [one["message"] for one in events if one["reason"] == "StandIn"]
    assert told == [f'Image "{IMAGE}" is not simulated: a stand-in runs in its place'] * 2


def test_a_strict_cluster_refuses_it() -> None:
    status, events = run({"containers": [SERVER]}, stand_ins=False)
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] in ("ErrImagePull", "ImagePullBackOff")
    assert not [one for one in events if one["reason"] == "StandIn"]
