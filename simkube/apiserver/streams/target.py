"""Which pod, container, node and address a streaming request is about, and the real API server's refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from simkube.apimachinery.errors import StatusError, bad_request
from simkube.client.client import Caller, Obj, Server
from simkube.clock.clock import Clock
from simkube.runtime.cri import Container, HTTPRequest, HTTPResponse, Sandbox
from simkube.runtime.network.network import Connection

ADMIN = Caller("system:apiserver", ("system:masters",), "kube-apiserver")
NODE_PORT = 10250
"""The port of a real kubelet, for messages."""


class ClusterNetwork(Protocol):
    """The cluster's network, as the API server uses it; ``control_plane`` is its own address there."""

    control_plane: str

    async def request(
        self, source: str, host: str, port: int, request: HTTPRequest, *, secure: bool = False
    ) -> HTTPResponse: ...

    async def local(self, address: str, port: int) -> Connection: ...


class NodeSettings(Protocol):
    """Where a kubelet is."""

    @property
    def ip(self) -> str: ...


class Kubelet(Protocol):
    """A node's agent, as the API server speaks to it: who runs what, and whether it can be reached at all."""

    @property
    def settings(self) -> NodeSettings: ...

    @property
    def powered(self) -> bool: ...

    @property
    def paused(self) -> bool: ...

    @property
    def cut(self) -> bool: ...

    @property
    def running(self) -> bool: ...

    def container(self, uid: str, name: str) -> Container | None:
        """The container of that name, of the pod with this uid."""

    def container_of(self, uid: str, identity: str) -> Container | None:
        """The container with this id."""

    def sandbox(self, uid: str) -> Sandbox | None:
        """The sandbox of a pod."""

    def page(self, path: str) -> HTTPResponse:
        """A page of the agent's own port; StatusError for one that is not simulated."""

    def touched(self, uid: str) -> None:
        """Somebody worked in a container of the pod: its files are to be saved soon."""


class StreamCluster(Protocol):
    """What streaming needs of a cluster: its API server, its clock, its network and its kubelets by node name."""

    @property
    def apiserver(self) -> Server: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def network(self) -> ClusterNetwork: ...

    @property
    def kubelets(self) -> Mapping[str, Kubelet]: ...


def internal_error(message: str) -> StatusError:
    """500 as ``NewInternalError``."""
    causes = {"causes": [{"message": message}]}
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", causes)


def unavailable(message: str) -> StatusError:
    """503 as the API server's proxy gives it."""
    return StatusError(503, "ServiceUnavailable", message)


def find_pod(cluster: StreamCluster, namespace: str, name: str) -> Obj:
    """The pod; StatusError 404."""
    return cluster.apiserver.get(ADMIN, "pods", name, namespace)


def _names(spec: Obj, field: str) -> list[str]:
    return [one["name"] for one in spec.get(field) or []]


def container_name(pod: Obj, asked: str) -> str:
    """The container that is meant; StatusError 400 with the API server's words when none or an unknown one is."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    known = {field: _names(spec, field) for field in ("containers", "initContainers", "ephemeralContainers")}
    if asked:
        if not any(asked in names for names in known.values()):
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(known["containers"]) == 1:
        return known["containers"][0]
    message = f"a container name must be specified for pod {name}, choose one of: [{' '.join(known['containers'])}]"
    if known["initContainers"]:
        message += f" or one of the init containers: [{' '.join(known['initContainers'])}]"
    raise bad_request(message)


def kubelet_of(cluster: StreamCluster, pod: Obj, what: str) -> Kubelet:
    """The kubelet that runs the pod; ``what`` is the path asked of it. StatusError when it cannot be reached."""
    node = pod["spec"].get("nodeName")
    if not node:
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    return kubelet_at(cluster, node, what)


def kubelet_at(cluster: StreamCluster, node: str, what: str) -> Kubelet:
    """The kubelet of a node; ``what`` is the path asked of it. StatusError when it cannot be reached."""
    kubelet = cluster.kubelets.get(node)
    if kubelet is None:
        raise StatusError(404, "NotFound", f'nodes "{node}" not found', {"name": node, "kind": "nodes"})
    where = f"{kubelet.settings.ip}:{NODE_PORT}"
    if not kubelet.powered:
        raise internal_error(f'Get "https://{where}{what}": dial tcp {where}: connect: no route to host')
    if kubelet.paused or kubelet.cut:
        raise internal_error(f'Get "https://{where}{what}": dial tcp {where}: i/o timeout')
    if not kubelet.running:
        raise internal_error(f'Get "https://{where}{what}": dial tcp {where}: connect: connection refused')
    return kubelet


def running_container(cluster: StreamCluster, pod: Obj, name: str, verb: str) -> Container | None:
    """The container when it runs; None when the kubelet would say that it is not found."""
    meta = pod["metadata"]
    kubelet = kubelet_of(cluster, pod, f"/{verb}/{meta['namespace']}/{meta['name']}/{name}")
    container = kubelet.container(meta["uid"], name)
    return container if container is not None and container.state == "running" else None
