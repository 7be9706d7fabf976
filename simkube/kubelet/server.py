"""The pages of a kubelet's own port (10250), as the API server's ``nodes/NAME/proxy`` shows them.

Health, pods, figures, the summary, the configuration that is in force here. It refuses (501) what else a kubelet has:
commands and logs go by the subresources of pods. Source: ``pkg/kubelet/server/server.go``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from simkube.apimachinery.errors import not_simulated
from simkube.component_helpers.metrics import CONTENT
from simkube.kubelet import metrics
from simkube.kubelet.lease import DURATION
from simkube.runtime.cri import HTTPResponse

if TYPE_CHECKING:
    from simkube.kubelet.kubelet import Kubelet

PORT = 10250
_REFUSED = ("attach", "checkpoint", "containerLogs", "debug", "exec", "logs", "portForward", "run")


def answer(node: Kubelet, path: str) -> HTTPResponse:
    """The page at a path; StatusError for one that is not simulated."""
    path = "/" + path.strip("/")
    if path == "/healthz" or path.startswith("/healthz/"):
        return _text("ok")
    pages = {
        "/metrics": lambda: metrics.kubelet(node),
        "/metrics/cadvisor": lambda: metrics.cadvisor(node),
        "/metrics/resource": lambda: metrics.resource(node),
        "/metrics/probes": lambda: metrics.probes(node),
    }
    if path in pages:
        return _text(pages[path](), CONTENT)
    if path in ("/pods", "/runningpods"):
        return _json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": _pods(node)})
    if path == "/stats/summary":
        return _json(summary(node))
    if path == "/configz":
        return _json(configuration(node))
    if path[1:].partition("/")[0] in _REFUSED:
        raise not_simulated(f"the page {path} of a kubelet")
    return _text("404 page not found\n", status=404)


def _text(body: str, kind: str = "text/plain; charset=utf-8", *, status: int = 200) -> HTTPResponse:
    return HTTPResponse(status, {"content-type": kind}, body.encode())


def _json(value: Any) -> HTTPResponse:
    return HTTPResponse(200, {"content-type": "application/json"}, json.dumps(value).encode())


def _pods(node: Kubelet) -> list[Any]:
    return [worker.pod.obj for worker in node.workers.values() if not worker.gone]


def summary(node: Kubelet) -> dict[str, Any]:
    """``/stats/summary``: what the node and its pods use now (``kubelet/pkg/apis/stats/v1alpha1``)."""
    now, machine = node.clock.timestamp(), node.runtime.machine
    held = machine.memory.capacity - max(0, machine.memory.available)
    memory = {"availableBytes": max(0, machine.memory.available), "usageBytes": held, "workingSetBytes": held}
    whole = {"time": now, "usageCoreNanoSeconds": round(node.runtime.node_cpu_seconds() * 1e9)}
    sample = node.node_sample()
    if sample is not None:
        whole["usageNanoCores"] = round(sample.cores * 1e9)
    about = {"nodeName": node.node_name, "cpu": whole, "memory": {"time": now, **memory}}
    return {"node": about, "pods": [_pod(worker.pod, now) for worker in node.workers.values() if not worker.gone]}


def _pod(pod: Any, now: str) -> dict[str, Any]:
    containers = []
    for run in pod.runs.values():
        container = run.container
        if container is None or container.state != "running":
            continue
        used: dict[str, Any] = {"time": now, "usageCoreNanoSeconds": round(container.cpu_seconds * 1e9)}
        sample = container.sample()
        if sample is not None:
            used["usageNanoCores"] = round(sample.cores * 1e9)
        memory = {"time": now, "usageBytes": container.working_set, "workingSetBytes": container.working_set}
        files = {"time": now, "usedBytes": container.written}
        containers.append({"name": run.name, "cpu": used, "memory": memory, "rootfs": files})
    return {"podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid}, "containers": containers}


def configuration(node: Kubelet) -> dict[str, Any]:
    """``/configz``: of a kubelet's configuration, what has an effect here."""
    config = {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "port": PORT,
        "maxPods": int(node.settings.capacity.get("pods", "110")),
        "podCIDR": node.settings.pod_cidr,
        "clusterDomain": "cluster.local",
        "staticPodPath": "/etc/kubernetes/manifests",
        "nodeLeaseDurationSeconds": DURATION,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
    }
    return {"kubeletconfig": config}
