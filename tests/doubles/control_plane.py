"""A control plane on a manual clock, with kubelets that play a part instead of running containers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from simkube.client.client import Client, Event, Obj, key_of
from simkube.client.workqueue import Component
from simkube.clock.clock import Clock
from simkube.cluster.cluster import Cluster
from simkube.component_helpers.pods import condition, is_ready
from simkube.etcd.journal import Journal
from simkube.etcd.store import Store

START = 1_800_000_000.0


class ScriptedKubelet(Component):
    """Runs the pods of one node in the API only: each is ready ``after`` seconds, and gone at once when deleted."""

    name = "kubelet"
    after = 0.0

    def __init__(self, plane: Plane, node: str) -> None:
        self.node_name = node
        super().__init__(plane.cluster.gate, plane.cluster.work)
        self._silent_since = self.clock.now()
        self._addresses = 0
        self._started: dict[str, float] = {}

    @property
    def heard(self) -> bool:
        return self.running

    def last_heartbeat(self) -> float:
        return self.clock.now() if self.running else self._silent_since

    def stop(self) -> None:
        self._silent_since = self.clock.now()
        super().stop()

    def watch(self) -> None:
        self.pods = self.client.observe("pods", self._changed)
        self.enqueue("node")

    def _changed(self, event: Event) -> None:
        if event.obj["spec"].get("nodeName") == self.node_name and event.type != "DELETED":
            self.enqueue(key_of(event.obj))

    def reconcile(self, key: Hashable) -> None:
        if key == "node":
            ready = [{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": self._now()}]
            patch = {"status": {"conditions": ready}}
            self.client.patch("nodes", self.node_name, patch, type="strategic", subresource="status")
            return
        assert isinstance(key, tuple)
        pod = self.pods.get(*key)
        if pod is None:
            return
        if "deletionTimestamp" in pod["metadata"]:
            self.client.delete("pods", key[1], key[0], gracePeriodSeconds=0)
            return
        started = self._started.setdefault(pod["metadata"]["uid"], self.clock.now())
        left = started + self.after - self.clock.now()
        if left > 0:
            self.enqueue_after(key, left)
        if condition(pod, "Ready") is None or (left <= 0 and not is_ready(pod)):
            wanted = self.status(pod, ready=left <= 0)
            self.client.patch("pods", key[1], {"status": wanted}, key[0], type="strategic", subresource="status")

    def status(self, pod: Obj, *, ready: bool) -> Obj:
        self._addresses += 1
        address = (pod.get("status") or {}).get("podIP") or f"10.244.0.{self._addresses % 250}"
        state = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": self._now()}
        return {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": [state]}

    def _now(self) -> str:
        return self.clock.timestamp()


class SlowKubelet(ScriptedKubelet):
    """Pods need ten seconds to get ready."""

    after = 10.0


class NeverReadyKubelet(ScriptedKubelet):
    """Pods run and never get ready."""

    after = float("inf")

    def reconcile(self, key: Hashable) -> None:
        super().reconcile(key)
        self.dequeue(key)


class BrokenKubelet(ScriptedKubelet):
    """Pods fail as soon as they get to the node."""

    def status(self, pod: Obj, *, ready: bool) -> Obj:
        return {"phase": "Failed", "conditions": [{"type": "Ready", "status": "False"}]}


class Plane:
    """A cluster without nodes of its own, seen by an administrator."""

    def __init__(self, topology: Mapping[str, Any] | None = None) -> None:
        self.clock = Clock(start=START)
        self.journal = Journal()
        self.store = Store(self.journal, "test")
        self.cluster = Cluster("test", self.store, self.clock, {"nodes": []} if topology is None else topology, ca="CA")
        self.client = Client(self.cluster.apiserver, "kubectl", self.clock)
        self.cluster.start()
        self.settle()

    def settle(self, seconds: float = 0.0) -> None:
        """Let everything happen that happens now, and then for some seconds."""
        self.cluster.run_until_quiet()
        if seconds:
            self.cluster.advance(seconds)

    def node(self, name: str, kubelet: type[ScriptedKubelet] | None = ScriptedKubelet, **spec: Any) -> Obj:
        """A node with 4 CPUs and 8Gi, run by a double."""
        labels = {"kubernetes.io/hostname": name, **spec.pop("labels", {})}
        amounts = spec.pop("amounts", {"cpu": "4", "memory": "8Gi", "pods": "110"})
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "lastHeartbeatTime": self.clock.timestamp(),
        }
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels},
            "spec": spec,
            "status": {"capacity": amounts, "allocatable": amounts, "conditions": [ready]},
        }
        made = self.client.create("nodes", node)
        if kubelet is not None:
            double = kubelet(self, name)
            self.cluster.kubelets[name] = double  # type: ignore[assignment]  # a double keeps what is used of it
            double.start()
        self.settle()
        return made

    def deploy(self, name: str = "web", replicas: int = 3, image: str = "web:1", **spec: Any) -> Obj:
        """A deployment as a learner creates it; ``pod`` is merged into the pod's spec."""
        pod = {"containers": [{"name": "web", "image": image}], **spec.pop("pod", {})}
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
                **spec,
            },
        }
        return self.client.create("deployments.apps", deployment, "default")

    def pod(self, name: str, **spec: Any) -> Obj:
        """A pod as a learner creates it."""
        labels = spec.pop("labels", {})
        spec.setdefault("containers", [{"name": "a", "image": "a:1"}])
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
        return self.client.create("pods", pod, "default")

    def service(self, name: str = "web", **spec: Any) -> Obj:
        """A service in front of ``app: NAME``."""
        spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}], **spec}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        return self.client.create("services", service, "default")

    def deployment(self, name: str = "web") -> Obj:
        return self.client.get("deployments.apps", name, "default")

    def pods(self, labels: str = "") -> list[Obj]:
        return self.client.list("pods", "default", labels=labels)

    def sets(self) -> list[Obj]:
        return self.client.list("replicasets.apps", "default")

    def events(self, reason: str) -> list[str]:
        return [event["message"] for event in self.client.list("events") if event["reason"] == reason]

    def set_image(self, image: str, name: str = "web") -> None:
        """What ``kubectl set image`` sends."""
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}
        self.client.patch("deployments.apps", name, patch, "default", type="strategic")

    def scale(self, replicas: int, name: str = "web") -> None:
        """What ``kubectl scale`` sends."""
        self.client.patch("deployments.apps", name, {"spec": {"replicas": replicas}}, "default", subresource="scale")


def images(pods: Sequence[Obj]) -> list[str]:
    """The first container's image of each pod, sorted."""
    return sorted(pod["spec"]["containers"][0]["image"] for pod in pods)


def reason_of(obj: Obj, type: str) -> str:
    """The reason of a condition, or ""."""
    found = condition(obj, type)
    return str(found.get("reason", "")) if found else ""
