"""A whole cluster on a manual clock, nothing doubled in it, and what a test does in one."""

from __future__ import annotations

from typing import Any

from simkube.client.client import Caller
from simkube.clock.clock import Clock
from simkube.cluster.cluster import Cluster
from simkube.etcd.journal import Journal
from simkube.etcd.store import Store

ME = Caller("learner", ("system:masters",), "kubectl")
START = 1_767_225_600.0
NODE = "lab-control-plane"
"""The first node."""


class WholeCluster:
    """A control plane and, with more ``nodes``, workers; ``settled`` seconds of its time have passed."""

    def __init__(self, nodes: int = 1, settled: float = 5) -> None:
        self.journal = Journal(None)
        self.clock = Clock(START)
        self.topology = {"nodes": [{"role": "worker" if number else "control-plane"} for number in range(nodes)]}
        self.cluster = self._cluster()
        self.cluster.advance(settled)

    def _cluster(self) -> Cluster:
        cluster = Cluster("lab", Store(self.journal, "lab"), self.clock, self.topology)
        cluster.start()
        cluster.run_until_quiet()
        return cluster

    def kill_host(self) -> None:
        """The process is gone; a new one starts on what the journal has."""
        old, self.clock = self.cluster, Clock(self.clock.now() + 2)
        self.cluster = self._cluster()
        for kubelet in old.kubelets.values():
            for worker in kubelet.workers.values():
                worker.suspend()

    def run(self, *containers: dict[str, Any], name: str = "web", seconds: float = 2, **spec: Any) -> None:
        """A pod, and so much time for it. A container without a name has the pod's."""
        named = [{"name": name, **container} for container in containers]
        meta = {"name": name, "labels": {"app": name}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": named, **spec}}
        self.cluster.apiserver.create(ME, "pods", pod, "default")
        self.cluster.advance(seconds)

    def change(self, part: str, spec: dict[str, Any], name: str = "web") -> None:
        """Change a pod through a subresource."""
        self.cluster.apiserver.patch(ME, "pods", name, {"spec": spec}, "default", type="strategic", subresource=part)
        self.cluster.advance(2)

    def pod(self, name: str = "web") -> dict[str, Any]:
        return self.cluster.apiserver.get(ME, "pods", name, "default")

    def status(self, name: str = "web") -> dict[str, Any]:
        found: dict[str, Any] = self.pod(name)["status"]
        return found

    def condition(self, kind: str, name: str = "web") -> dict[str, Any]:
        """A condition of a pod; {} when it has none of that type."""
        return next((one for one in self.status(name)["conditions"] if one["type"] == kind), {})

    def container(self, pod: str = "web", name: str = "web", *, previous: bool = False) -> Any:
        """A container as its kubelet has it."""
        found = self.pod(pod)
        kubelet = self.cluster.kubelets[found["spec"]["nodeName"]]
        return kubelet.container(found["metadata"]["uid"], name, previous=previous)

    def exec(self, container: str, *argv: str, name: str = "web") -> str:
        """What a command in a container says; it must end within a second."""
        found = self.container(name, container)
        assert found is not None
        out = bytearray()
        session = found.exec(argv, lambda _, data: out.extend(data))
        session.stdin.close()
        self.cluster.advance(1)
        assert session.exited.done
        return out.decode()
