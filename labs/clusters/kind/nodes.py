"""The node containers of a kind cluster, through the Docker SDK: what is there, and what is broken on purpose.

kind labels every node container with the cluster's name, which names the installation and the session it belongs to:
whoever looks at Docker alone can tell whose it is. Nothing is remembered here about what was broken; healing looks at
the nodes themselves, so that it also undoes what a killed process left behind.
"""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import docker
import docker.errors
from requests.exceptions import RequestException

from labs.clusters.provider import ClusterError, ClusterGone, Fault, ProviderUnavailable

if TYPE_CHECKING:
    from docker.models.containers import Container

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
ROLE_LABEL = "io.x-k8s.kind.role"

_MANIFESTS = "/etc/kubernetes/manifests"
_PUT_ASIDE = "/etc/kubernetes/stopped-by-kindling"
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""What STOP_COMPONENT can name: the static pods of a kubeadm control plane."""
COMPONENT_SECONDS = 120
"""How long a kubelet may take over one of them."""

_KILL = ["ctr", "-n", "k8s.io", "tasks", "kill", "--signal"]
_FREEZE = "mkdir -p /run/kindling-frozen && touch /run/kindling-frozen/$1 && ctr -n k8s.io tasks kill -a -s SIGSTOP $1"
_THAW = "rm -f /run/kindling-frozen/$1; ctr -n k8s.io tasks kill -a -s SIGCONT $1"
_THAW_ALL = """
for one in $(ls /run/kindling-frozen 2> /dev/null); do
  ctr -n k8s.io tasks kill -a -s SIGCONT $one 2> /dev/null; rm -f /run/kindling-frozen/$one; echo $one
done; true
"""
"""All processes of a container, by signals: the kernel's freezer would stop its probes as well."""
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

    def inject(self, fault: Fault, target: str, container_id: Callable[[str], tuple[str, str]]) -> None:
        """Break ``target``. ``container_id`` maps namespace/pod/container to (node, containerd id)."""
        if fault in (Fault.STOP_NODE, Fault.PAUSE_NODE, Fault.START_NODE):
            self._node_fault(fault, self._named(target))
        elif fault in (Fault.STOP_COMPONENT, Fault.START_COMPONENT):
            if target not in COMPONENTS:
                raise ValueError(f"there is no component {target!r}; there are: {', '.join(COMPONENTS)}")
            self._component_fault(fault, target)
        else:
            node, container = container_id(target)
            if fault is Fault.KILL_CONTAINER:
                _run(self._named(node), [*_KILL, "SIGKILL", container])
            else:
                _run(
                    self._named(node),
                    ["sh", "-c", _FREEZE if fault is Fault.FREEZE_CONTAINER else _THAW, "sh", container],
                )

    def heal(self) -> bool:
        """Start, unpause and put back whatever is not as it should be; whether there was anything."""
        healed = False
        for node in self.all():
            if node.status != "running":
                self._node_fault(Fault.START_NODE, node)
                healed = True
            healed = bool(_run(node, ["sh", "-c", _THAW_ALL])) or healed
        control_plane = self.control_plane()
        for name in _run(control_plane, ["sh", "-c", f"mkdir -p {_PUT_ASIDE} && ls {_PUT_ASIDE}"]).split():
            self._component_fault(Fault.START_COMPONENT, name.removesuffix(".yaml"))
            healed = True
        return healed

    def _named(self, name: str) -> Container:
        for node in self.all():
            if node.name == name:
                return node
        names = ", ".join(str(node.name) for node in self.all())
        raise ValueError(f"there is no node {name!r}; there are: {names or 'none'}")

    def _node_fault(self, fault: Fault, node: Container) -> None:
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
                _run(node, ["sh", "-c", _FOLLOW_ADDRESS])

    def _component_fault(self, fault: Fault, component: str) -> None:
        """Take a static pod's manifest away from the kubelet, or give it back, and wait until that is so.

        A manifest that is taken away just when it was given back would find no process to wait for, and the kubelet
        would start one all the same.
        """
        node = self.control_plane()
        manifest, aside = f"{_MANIFESTS}/{component}.yaml", f"{_PUT_ASIDE}/{component}.yaml"
        start = fault is Fault.START_COMPONENT
        old, new = (aside, manifest) if start else (manifest, aside)
        _run(node, ["sh", "-c", f"mkdir -p {_PUT_ASIDE}; test ! -e {old} || mv {old} {new}"])
        deadline = time.monotonic() + COMPONENT_SECONDS
        while (node.exec_run(["pgrep", "-x", component[:15]])[0] == 0) is not start:
            if time.monotonic() > deadline:
                how, what = ("start", "given back") if start else ("stop", "taken away")
                raise ClusterError(
                    f"{component} did not {how} within {COMPONENT_SECONDS} s of its manifest being {what}"
                )
            time.sleep(0.3)  # between two looks at another machine's process table


def place_of(pod: Mapping[str, Any], container: str) -> tuple[str, str]:
    """The node and containerd's id of a pod's container, a sidecar's too; ``ValueError`` when it has none."""
    status = pod.get("status") or {}
    for one in [*(status.get("containerStatuses") or []), *(status.get("initContainerStatuses") or [])]:
        if one["name"] == container and one.get("containerID"):
            return pod["spec"]["nodeName"], one["containerID"].partition("://")[2]
    raise ValueError(f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']} runs no container {container!r}")


def _run(node: Container, command: list[str]) -> str:
    """Run a command in a node; what it printed."""
    code, output = node.exec_run(command)
    assert isinstance(output, bytes)  # because it is not streamed
    text = output.decode(errors="replace").strip()
    if code != 0:
        raise ClusterError(f"{' '.join(command[:3])} failed on {node.name}: {text[:300]}")
    return text
