"""The node containers of a kind cluster, through the Docker SDK: what is there, what runs, and commands in them.

kind labels every node container with the cluster's name, which names the installation and the session it belongs to:
whoever looks at Docker alone can tell whose it is.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import docker
import docker.errors
from requests.exceptions import RequestException

from labs.clusters.provider import ClusterError, ClusterGone, Fault, ProviderUnavailable

if TYPE_CHECKING:
    from docker.models.containers import Container

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
ROLE_LABEL = "io.x-k8s.kind.role"

_FOLLOW_ADDRESS = r"""
flags=/var/lib/kubelet/kubeadm-flags.env
address=$(ip -4 -o addr show dev eth0 | awk '{ split($4, part, "/"); print part[1]; exit }')
grep -q -- "--node-ip=[0-9]" $flags || exit 0
grep -q -- "--node-ip=$address[^0-9.]" $flags && exit 0
sed -i -E "s/--node-ip=[0-9.]+/--node-ip=$address/" $flags
for attempt in $(seq 100); do systemctl restart kubelet 2> /dev/null && exit 0; sleep 0.2; done
exit 1
"""
"""Docker may give a node that is started again another address, and its pods are reached through the one its kubelet
reports. Node images differ in whether they see to that themselves."""


def connect() -> docker.DockerClient:
    """A client of the Docker engine; :class:`ProviderUnavailable` when none answers."""
    try:
        engine = docker.from_env(timeout=60)
        engine.ping()
    except (docker.errors.DockerException, RequestException, OSError) as error:
        raise ProviderUnavailable(
            "Docker is not running or not reachable.", "sudo apt-get install docker.io && sudo systemctl start docker"
        ) from error
    return engine


def clusters(engine: docker.DockerClient, prefix: str) -> set[str]:
    """Names of all kind clusters on this machine that begin with ``prefix``, running or not."""
    found = engine.containers.list(all=True, filters={"label": CLUSTER_LABEL}, ignore_removed=True)
    return {name for container in found if (name := container.labels[CLUSTER_LABEL]).startswith(prefix)}


class Nodes:
    """The nodes of one cluster; a node's name is its container's and its Kubernetes name."""

    def __init__(self, engine: docker.DockerClient, cluster: str) -> None:
        self._engine = engine
        self.cluster = cluster

    def all(self) -> list[Container]:
        """Every node container, running or not, the control plane first."""
        label = f"{CLUSTER_LABEL}={self.cluster}"
        found = self._engine.containers.list(all=True, filters={"label": label}, ignore_removed=True)
        return sorted(found, key=lambda node: (node.labels.get(ROLE_LABEL) != "control-plane", str(node.name)))

    def control_plane(self) -> Container:
        """The (first) control-plane node; :class:`ClusterGone` when there is none."""
        for node in self.all():
            if node.labels.get(ROLE_LABEL) == "control-plane":
                return node
        raise ClusterGone(f"the cluster {self.cluster} is gone")

    def read(self, path: str) -> bytes:
        """A file of the control-plane node."""
        chunks, _ = self.control_plane().get_archive(path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            member = archive.extractfile(archive.getmembers()[0])
            return member.read() if member else b""

    def named(self, name: str) -> Container:
        for node in self.all():
            if node.name == name:
                return node
        names = ", ".join(str(node.name) for node in self.all())
        raise ValueError(f"there is no node {name!r}; there are: {names or 'none'}")


def break_node(fault: Fault, node: Container) -> None:
    """Stop, pause or start one; what is so already is left as it is."""
    node.reload()
    if fault is Fault.STOP_NODE and node.status in ("running", "paused"):
        node.kill()  # as a power cut: no graceful shutdown, no restart by Docker
    elif fault is Fault.PAUSE_NODE and node.status == "running":
        node.pause()
    elif fault is Fault.START_NODE and node.status == "paused":
        node.unpause()
    elif fault is Fault.START_NODE and node.status != "running":
        node.start()
        if node.labels.get(ROLE_LABEL) == "worker":
            run(node, ["sh", "-c", _FOLLOW_ADDRESS])


def place_of(pod: Mapping[str, Any], container: str) -> tuple[str, str]:
    """The node and containerd's id of a pod's container, a sidecar's too; ``ValueError`` when it has none."""
    status = pod.get("status") or {}
    for one in [*(status.get("containerStatuses") or []), *(status.get("initContainerStatuses") or [])]:
        if one["name"] == container and one.get("containerID"):
            return pod["spec"]["nodeName"], one["containerID"].partition("://")[2]
    raise ValueError(f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']} runs no container {container!r}")


def run(node: Container, command: list[str]) -> str:
    """Run a command in a node; what it printed."""
    code, output = node.exec_run(command)
    assert isinstance(output, bytes)  # because it is not streamed
    text = output.decode(errors="replace").strip()
    if code != 0:
        what = "a script" if command[0] == "sh" else " ".join(command[:3])
        raise ClusterError(f"{what} failed on {node.name}: {text[:300]}")
    return text
