"""A furnished cluster, and what one does in its pods."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from simkube.client.client import Client, Obj
from simkube.clock.clock import Clock
from simkube.cluster.cluster import Cluster
from simkube.component_helpers.pods import is_ready
from simkube.etcd.store import Store
from tests.doubles.control_plane import Plane

SINGLE: dict[str, Any] = {"nodes": [{"role": "control-plane"}]}
PAIR: dict[str, Any] = {"nodes": [{"role": "control-plane"}, {"role": "worker"}]}
DNS = "k8s-app=kube-dns"


class House(Plane):
    """A cluster that somebody has looked at."""

    def __init__(self, topology: dict[str, Any] | None = None) -> None:
        super().__init__(topology or SINGLE)
        self.cluster.visit("/api/v1/pods")
        self.settle(2)

    def system(self, labels: str = "", namespace: str = "kube-system") -> list[Obj]:
        return self.client.list("pods", namespace, labels=labels)

    def patch(self, resource: str, name: str, patch: Obj, namespace: str = "kube-system") -> None:
        self.client.patch(resource, name, patch, namespace)

    def edit(self, old: str, new: str) -> None:
        """Replace a text in the Corefile."""
        text = self.client.get("configmaps", "coredns", "kube-system")["data"]["Corefile"]
        assert old in text
        self.patch("configmaps", "coredns", {"data": {"Corefile": text.replace(old, new)}})

    def log(self, pod: Obj) -> list[str]:
        container = self._container(pod)
        return [] if container is None else [line.text for line in container.log.lines()]

    def logs(self, labels: str, namespace: str = "kube-system") -> str:
        return "\n".join(line for pod in self.system(labels, namespace) for line in self.log(pod))

    def _container(self, pod: Obj) -> Any:
        worker = self.cluster.kubelets[pod["spec"]["nodeName"]].workers[pod["metadata"]["uid"]]
        return next(iter(worker.pod.runs.values())).container

    def shell(self, command: str, seconds: float = 30.0, pod: str = "dnsutils") -> tuple[int, str]:
        """Run a command in a pod; its exit code and output."""
        found = self.client.get("pods", pod, "default")
        written: list[bytes] = []
        run = self._container(found).exec(["sh", "-c", command], lambda _, data: written.append(data))
        self.settle(seconds)
        return run.exited.result(), b"".join(written).decode()

    def dnsutils(self, **spec: Any) -> None:
        container = {"name": "dnsutils", "image": "busybox:1.36", "command": ["sleep", "infinity"]}
        self.pod("dnsutils", containers=[container], **spec)
        self.settle(2)
        assert is_ready(self.client.get("pods", "dnsutils", "default"))

    def killed(self) -> House:
        """The cluster as the next host finds it after ``kill -9``."""
        after = House.__new__(House)
        after.clock, after.journal = Clock(start=self.clock.now()), self.journal
        after.store = Store(self.journal, "test")
        after.cluster = Cluster(
            "test", after.store, after.clock, PAIR if len(self.cluster.kubelets) > 1 else SINGLE, ca="CA"
        )
        after.client = Client(after.cluster.apiserver, "kubectl", after.clock)
        after.cluster.start()
        after.settle(2)
        return after


@contextmanager
def without(house: House, component: str) -> Iterator[None]:
    """While a component is stopped."""
    house.cluster.stop_component(component)
    house.settle()
    try:
        yield
    finally:
        house.cluster.start_component(component)
        house.settle()
