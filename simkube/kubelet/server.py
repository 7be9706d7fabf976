"""The pages of a kubelet's own port (10250): for pods on the cluster's network, and by ``nodes/NAME/proxy``.

Health, pods, figures, the summary, the configuration that is in force here. It refuses (501) what else a kubelet has:
commands and logs go by the subresources of pods. Who asks on the port is asked of the API server (TokenReview), and
whether they may (SubjectAccessReview): for the page's own subresource of nodes, or for ``nodes/proxy``. Sources:
``pkg/kubelet/server/server.go``, ``pkg/kubelet/server/auth.go``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from simkube.apimachinery.errors import StatusError, not_simulated
from simkube.component_helpers.metrics import CONTENT
from simkube.kubelet import metrics
from simkube.kubelet.lease import DURATION
from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse
from simkube.runtime.network.ports import Certificate, Daemon, Listener, PortTable

if TYPE_CHECKING:
    from simkube.kubelet.kubelet import Kubelet

PORT = 10250
_SUBRESOURCES = {
    "configz": ("configz",),
    "healthz": ("healthz",),
    "metrics": ("metrics",),
    "pods": ("pods",),
    "runningpods": ("pods",),
    "stats": ("stats",),
}
_REFUSED = ("attach", "checkpoint", "containerLogs", "debug", "exec", "logs", "portForward", "run")


class Port:
    """The port of one kubelet: open while it runs."""

    def __init__(self, node: Kubelet, ports: PortTable) -> None:
        self._node = node
        self._ports = ports
        self._listener: Listener | None = None

    def open(self) -> None:
        """Listen; a no-op while listening, or when somebody else has the port."""
        if self._listener is None and PORT not in self._ports.listeners:
            shown = Certificate((self._node.node_name, self._node.settings.ip), "")
            self._listener = self._ports.listen(Daemon(), PORT, self._serve, tls=lambda _host: shown)

    def close(self) -> None:
        """Listen no more; a no-op when closed."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _serve(self, request: HTTPRequest, peer: str) -> HTTPResponse:  # noqa: ARG002 - a token says who asks
        path = httptext.split_path(request.path)[0]
        try:
            refused = self._refused(request.headers.get("authorization", ""), path)
            return refused or answer(self._node, path)
        except StatusError as error:
            return HTTPResponse(error.code, {"content-type": "application/json"}, json.dumps(error.body()).encode())

    def _refused(self, authorization: str, path: str) -> HTTPResponse | None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return _text("Unauthorized", status=401)
        client = self._node.client
        reviewed = client.create("tokenreviews.authentication.k8s.io", {"spec": {"token": token.strip()}})["status"]
        if not reviewed.get("authenticated"):
            return _text("Unauthorized", status=401)
        user = reviewed["user"]
        asked = [*_SUBRESOURCES.get(path.strip("/").partition("/")[0], ()), "proxy"]
        for subresource in asked:
            about = {"verb": "get", "version": "v1", "resource": "nodes", "name": self._node.node_name}
            spec = {"user": user["username"], "groups": user.get("groups", [])}
            spec["resourceAttributes"] = {**about, "subresource": subresource}
            answered = client.create("subjectaccessreviews.authorization.k8s.io", {"spec": spec})
            if answered["status"]["allowed"]:
                return None
        who = f"user={user['username']}, verb=get, resource=nodes, subresource(s)=[{' '.join(asked)}]"
        return _text(f"Forbidden ({who})", status=403)


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
