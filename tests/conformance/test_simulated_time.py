"""A lesson on the inside of Kubernetes with kubectl alone: stop time, step, tell the story, break parts and nodes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import datetime
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


def ages(text: str) -> list[int]:
    """Every age that ``describe`` prints of events and of itself, in seconds."""
    units = {"s": 1, "m": 60, "h": 3600}
    found = re.findall(r"^  (?:Normal|Warning)\s+\S+\s+((?:\d+[smh])+)", text, flags=re.MULTILINE)
    return [sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smh])", age)) for age in found]


def began(text: str) -> float:
    """Seconds since the ``Start Time`` that ``describe pod`` prints, by this machine's clock."""
    found = re.search(r"^Start Time: +(.*)$", text, flags=re.MULTILINE)
    assert found is not None, text
    return time.time() - datetime.strptime(found[1], "%a, %d %b %Y %H:%M:%S %z").timestamp()


@pytest.mark.parametrize(
    ("wish", "least", "most"),
    [({"step": 600}, 600, 660), ({"speed": 100}, 100, 100_000), ({"pause": True}, 0, 60)],
    ids=["a step", "fast", "paused"],
)
def test_what_kubectl_shows_makes_sense_to_its_own_clock(
    kubectl: Kubectl, wish: dict[str, Any], least: int, most: int
) -> None:
    kubectl("run web --image=busybox:1.35 -- sh -c 'echo hello; sleep 1d'")
    kubectl("wait --for=condition=Ready pod/web")
    asked(kubectl, "/simkube/clock", wish)
    if "speed" in wish:
        kubectl("wait --for=condition=Ready pod/web")
        kubectl.until("get events -o name", lambda _: ages(kubectl("describe pod web"))[0] >= least)
    told = kubectl("describe pod web")
    assert "<invalid>" not in told
    assert ages(told), told
    assert all(least <= age <= most for age in ages(told)), told
    assert least - 5 <= began(told) <= most, told
    age = kubectl("get pod web --no-headers").split()[4]
    assert least <= ages(f"  Normal  x  {age}")[0] <= most
    assert "<invalid>" not in kubectl("events") + kubectl("describe node a-worker") + kubectl("describe pod web")
    stamp = kubectl("logs web --timestamps --tail=1")[:19]
    assert -5 <= time.time() - datetime.fromisoformat(f"{stamp}+00:00").timestamp() <= most
    before, after = (json.loads(kubectl(f"annotate pod web seen={word} --overwrite -o json")) for word in "ab")
    assert before["metadata"]["creationTimestamp"] == after["metadata"]["creationTimestamp"], "what is stored stays"
