"""The metrics server: what pods and nodes used lately, from their kubelets, when somebody asks.

A real one looks at every kubelet each 15 s. Here runtimes keep the figures of those moments by themselves
(:mod:`simkube.runtime.usage`), so that nothing is polled and the answers are the same. The API server asks it for
``metrics.k8s.io/v1beta1``; so does, through the API as in Kubernetes, the controller that scales by usage::

    client.list("pods.metrics.k8s.io", namespace, labels=selector)  # PodMetrics; StatusError when nobody answers

It refuses custom and external metrics. After ``kubernetes-sigs/metrics-server`` (``pkg/api``, ``pkg/storage``).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from simkube.apimachinery.errors import StatusError, not_found
from simkube.client.client import Informers, Obj, Server, key_of
from simkube.client.workqueue import Component, WorkLoop
from simkube.runtime.usage import WINDOW, Sample

GROUP = "metrics.k8s.io"
PODS, NODES = f"pods.{GROUP}", f"nodes.{GROUP}"
_API = f"{GROUP}/v1beta1"


class Measured(Protocol):
    """A kubelet, as the metrics server sees it (its ``/metrics/resource``)."""

    def pod_samples(self, uid: str) -> dict[str, Sample] | None:
        """The last look at each running container of a pod; None when one of them is too young or none runs."""

    def node_sample(self) -> Sample | None:
        """The last look at the node; None when nothing of it can be had."""


class MetricsServer(Component):
    """Answers while it runs; reconciles nothing."""

    name = "metrics-server"

    def __init__(
        self, server: Server, loop: WorkLoop, kubelets: Mapping[str, Measured], informers: Informers | None = None
    ) -> None:
        super().__init__(server, loop, informers)
        self._kubelets = kubelets

    def watch(self) -> None:
        """Pods and nodes, as the API has them."""
        self._pods = self.client.informer("pods")
        self._nodes = self.client.informer("nodes")

    def reconcile(self, key: Hashable) -> None:
        """Nothing to do: every answer is made when it is asked for."""

    def pods(self, namespace: str, name: str = "") -> list[Obj]:
        """``PodMetrics`` of a namespace ("" for all), or of one pod: StatusError 404 when there is none to be had."""
        self._available()
        if not name:
            pods = sorted(self._pods.list(namespace or None), key=key_of)
            return [found for pod in pods if (found := self._of_pod(pod)) is not None]
        pod = self._pods.get(namespace, name)
        if pod is None:
            raise not_found("pods", name)
        found = self._of_pod(pod)
        if found is None:
            raise not_found("podmetrics", f"{namespace}/{name}", GROUP)
        return [found]

    def nodes(self, namespace: str, name: str = "") -> list[Obj]:
        """``NodeMetrics``; ``namespace`` is always ""."""
        del namespace
        self._available()
        if not name:
            nodes = sorted(self._nodes.list(), key=key_of)
            return [found for node in nodes if (found := self._of_node(node)) is not None]
        node = self._nodes.get("", name)
        if node is None:
            raise not_found("nodes", name)
        found = self._of_node(node)
        if found is None:
            raise not_found("nodemetrics", name, GROUP)
        return [found]

    def _available(self) -> None:
        if not self.running:
            raise StatusError(503, "ServiceUnavailable", "the server is currently unable to handle the request")

    def _of_pod(self, pod: Obj) -> Obj | None:
        kubelet = self._kubelets.get(pod["spec"].get("nodeName", ""))
        samples = None if kubelet is None else kubelet.pod_samples(pod["metadata"]["uid"])
        if not samples:
            return None
        containers = [{"name": name, "usage": usage(one)} for name, one in sorted(samples.items())]
        # As the metrics server: the earliest look and the longest window of its containers.
        at, window = min(one.at for one in samples.values()), max(one.window for one in samples.values())
        return {**_head("PodMetrics", pod, self.clock.timestamp()), **_when(at, window), "containers": containers}

    def _of_node(self, node: Obj) -> Obj | None:
        kubelet = self._kubelets.get(node["metadata"]["name"])
        sample = None if kubelet is None else kubelet.node_sample()
        if sample is None:
            return None
        head = _head("NodeMetrics", node, self.clock.timestamp())
        return {**head, **_when(sample.at, sample.window), "usage": usage(sample)}


def _head(kind: str, obj: Obj, now: str) -> Obj:
    meta = {key: obj["metadata"][key] for key in ("name", "namespace", "labels") if obj["metadata"].get(key)}
    return {"kind": kind, "apiVersion": _API, "metadata": {**meta, "creationTimestamp": now}}


def _when(at: float, window: float) -> Obj:
    moment = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"timestamp": moment, "window": f"{round(window, 3):g}s"}


def usage(sample: Sample) -> dict[str, str]:
    """Cores and bytes as the metrics server writes them: ``{"cpu": "12345678n", "memory": "6144Ki"}``."""
    nano = round(sample.cores * 1e9)
    return {"cpu": f"{nano}n" if nano else "0", "memory": f"{sample.memory // 1024}Ki"}


__all__ = ["GROUP", "NODES", "PODS", "WINDOW", "Measured", "MetricsServer", "usage"]
