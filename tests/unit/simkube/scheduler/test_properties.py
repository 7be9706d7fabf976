"""What holds in every cluster once nothing happens any more, however it came there: hundreds of generated histories.

Each seed makes nodes, pods with all kinds of demands, and changes of both, with little time between; then everything
rests. The judgement is made from what the API server says, by the filters alone, without the scheduler's queue.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable
from typing import Any

import pytest

from simkube.client.client import Obj
from simkube.component_helpers.pods import condition
from simkube.scheduler.filters import Placement
from simkube.scheduler.nodes import Nodes, requests
from simkube.scheduler.preemption import Search, priority
from tests.doubles.control_plane import Plane, ScriptedKubelet

CLASSES = {"": 0, "low": 10, "high": 1000}
APPS = ("a", "b", "c")
ZONES = ("east", "west")
HOST, ZONE = "kubernetes.io/hostname", "zone"
TAINT = {"key": "kept", "value": "yes", "effect": "NoSchedule"}


class LingeringKubelet(ScriptedKubelet):
    """What is deleted needs three seconds to end."""

    def reconcile(self, key: Hashable) -> None:
        assert isinstance(key, str | tuple)
        if key[0] == "ends":
            super().reconcile(key[1:])
            return
        pod = self.pods.get(*key) if key != "node" else None
        if pod is None or "deletionTimestamp" not in pod["metadata"]:
            super().reconcile(key)
        elif ("ends", *key) not in self._timers:
            self.enqueue_after(("ends", *key), 3.0)


class History:
    """One generated cluster and what is done to it."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.plane = Plane()
        self.made = 0
        self.priorities: dict[str, int] = {}
        for name, value in CLASSES.items():
            meta = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
            if name:
                self.plane.client.create("priorityclasses.scheduling.k8s.io", {**meta, "value": value})
        for _ in range(self.dice.randint(1, 3)):
            self.add_node()

    def run(self, steps: int) -> None:
        actions = [self.add_pod] * 6 + [self.delete_pod] * 2 + [self.add_node, self.change_node, self.change_pod]
        for _ in range(steps):
            self.dice.choice([*actions, self.deploy, self.drop_node])()
            pause = self.dice.choice((None, 0.0, 0.3, 2.0))
            if pause is not None:
                self.plane.settle(pause)
        self.plane.settle(120)

    def name(self, of: str) -> str:
        self.made += 1
        return f"{of}-{self.made}"

    def pick(self, resource: str) -> Obj | None:
        there = self.plane.client.list(resource)
        return self.dice.choice(there) if there else None

    def add_node(self) -> None:
        amounts = {"cpu": str(self.dice.randint(1, 4)), "memory": "8Gi", "pods": self.dice.choice(("3", "110"))}
        spec: dict[str, Any] = {"taints": [TAINT]} if self.dice.random() < 0.2 else {}
        kubelet = self.dice.choice((ScriptedKubelet, LingeringKubelet))
        self.plane.node(self.name("node"), kubelet, amounts=amounts, labels={ZONE: self.dice.choice(ZONES)}, **spec)

    def drop_node(self) -> None:
        node = self.pick("nodes")
        if node is not None and self.dice.random() < 0.3:
            self.plane.cluster.kubelets.pop(node["metadata"]["name"]).stop()
            self.plane.client.delete("nodes", node["metadata"]["name"])

    def change_node(self) -> None:
        node = self.pick("nodes")
        patch = self.dice.choice(
            (
                {"spec": {"unschedulable": True}},
                {"spec": {"unschedulable": None}},
                {"spec": {"taints": [TAINT]}},
                {"spec": {"taints": None}},
                {"metadata": {"labels": {ZONE: self.dice.choice(ZONES)}}},
            )
        )
        if node is not None:
            self.plane.client.patch("nodes", node["metadata"]["name"], patch)

    def demands(self) -> Obj:
        spec: Obj = {
            "containers": [
                {"name": "a", "image": "a:1", "resources": {"requests": {"cpu": f"{self.dice.randint(1, 20)}00m"}}}
            ],
            "priorityClassName": self.dice.choice(tuple(CLASSES)),
        }
        term = {
            "labelSelector": {"matchLabels": {"app": self.dice.choice(APPS)}},
            "topologyKey": self.dice.choice((HOST, ZONE)),
        }
        kind = self.dice.choice(("podAffinity", "podAntiAffinity", "spread", "port", "selector", *[""] * 5))
        if kind.startswith("pod"):
            spec["affinity"] = {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        elif kind == "spread":
            spec["topologySpreadConstraints"] = [{**term, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}]
        elif kind == "port":
            spec["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 80}]
        elif kind == "selector":
            spec["nodeSelector"] = {ZONE: self.dice.choice(ZONES)}
        if self.dice.random() < 0.3:
            spec["tolerations"] = [{"key": "kept", "operator": "Exists"}]
        if self.dice.random() < 0.1:
            spec["schedulingGates"] = [{"name": "example.org/later"}]
        return spec

    def add_pod(self) -> None:
        labels = {"app": self.dice.choice(APPS)}
        self.plane.pod(self.name("pod"), labels=labels, **self.demands())

    def deploy(self) -> None:
        if self.dice.random() < 0.5:
            demands = self.demands()
            demands.pop("schedulingGates", None)
            self.plane.deploy(self.name("web"), replicas=self.dice.randint(1, 5), pod=demands)

    def delete_pod(self) -> None:
        pod = self.pick("pods")
        if pod is not None:
            self.plane.client.delete("pods", pod["metadata"]["name"], pod["metadata"]["namespace"])

    def change_pod(self) -> None:
        pod = self.pick("pods")
        patch = self.dice.choice(({"spec": {"schedulingGates": None}}, {"metadata": {"labels": {"app": "b"}}}))
        if pod is not None and ("schedulingGates" in pod["spec"] or "metadata" in patch):
            self.plane.client.patch("pods", pod["metadata"]["name"], patch, pod["metadata"]["namespace"])


def picture(plane: Plane) -> Nodes:
    """Who runs where, from what the API server says."""
    nodes = Nodes()
    for namespace in plane.client.list("namespaces"):
        nodes.namespace_labels[namespace["metadata"]["name"]] = namespace["metadata"].get("labels") or {}
    for node in plane.client.list("nodes"):
        nodes.set_node(node["metadata"]["name"], node)
    for pod in plane.client.list("pods"):
        nodes.set_pod(pod)
    return nodes


def assert_told(plane: Plane, pod: Obj) -> None:
    """It says why it is where it is not."""
    said = condition(pod, "PodScheduled")
    assert said is not None, pod["metadata"]["name"]
    assert (said["status"], said["reason"]) == ("False", "Unschedulable")
    told = [
        event
        for event in plane.client.list("events")
        if event["involvedObject"].get("uid") == pod["metadata"]["uid"] and event["message"] == said["message"]
    ]
    assert [event["reason"] for event in told] == ["FailedScheduling"]


def assert_priorities_respected(plane: Plane, priorities: dict[str, int]) -> None:
    """Nobody made room for one that is no more important."""
    for event in plane.client.list("events"):
        if event["reason"] == "Preempted":
            by = event["message"].split()[3]
            assert priorities[event["involvedObject"]["uid"]] < priorities[by]


@pytest.mark.parametrize("seed", range(200))
def test_nobody_waits_in_vain(seed: int) -> None:
    history = History(seed)
    plane = history.plane
    priorities: dict[str, int] = {}
    plane.cluster.informers.get("pods").on_change(
        lambda event: priorities.__setitem__(event.obj["metadata"]["uid"], priority(event.obj))
    )
    history.run(steps=25)
    before = plane.store.revision
    assert plane.cluster.run_until_quiet() == 0
    nodes = picture(plane)
    for info in nodes.all():
        used: Counter[str] = Counter()
        for pod in info.pods.values():
            used.update(requests(pod))
        assert used["cpu"] <= info.allocatable["cpu"], info.name
    for pod in plane.client.list("pods"):
        if pod["spec"].get("nodeName") or pod["spec"].get("schedulingGates"):
            continue
        assert_told(plane, pod)
        placement = Placement(pod, nodes)
        refusals = {info.name: placement.refusal(info) for info in nodes.all()}
        assert all(refusals.values()), f"{pod['metadata']['name']} fits on {[n for n, r in refusals.items() if not r]}"
        room = Search(pod, nodes, lambda _: []).best({name: each for name, each in refusals.items() if each})
        assert room is None, f"{pod['metadata']['name']} could preempt on {room}"
    assert_priorities_respected(plane, priorities)
    plane.settle(600)
    assert not [pod for pod in plane.client.list("pods") if "deletionTimestamp" in pod["metadata"]]
    assert plane.store.revision - before < 200
