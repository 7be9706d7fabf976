"""What is broken on purpose in the nodes of a kind cluster, and how all of it is undone.

Nothing is remembered here: healing looks at the nodes themselves, so that it also undoes what a killed process left
behind. Everything below the containers is done by short scripts in the node, with what every node image has (systemd,
iptables, procps, kubectl). It refuses to fill a node, whose memory is this machine's, and to delay packets, for which
many kernels lack the queueing discipline.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from labs.clusters.kind import scripts
from labs.clusters.kind.controllers import flag_name
from labs.clusters.kind.nodes import ROLE_LABEL, Nodes, break_node, place_of, run
from labs.clusters.provider import ClusterError, Fault

if TYPE_CHECKING:
    from docker.models.containers import Container

WHY_NOT: Mapping[str, str] = {
    Fault.FILL_NODE: "its nodes share this machine's memory",
    Fault.SLOW_PATH: "packets can be lost there, but not be late: that needs netem, which many kernels lack",
}
FAULTS = frozenset(Fault) - WHY_NOT.keys()
STATIC_PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
COMPONENTS = (*STATIC_PODS, "coredns", "kubelet/NODE", "kube-proxy/NODE", "kube-proxy")
MOST_LOST = 100

PodOf = Callable[[str], Mapping[str, Any]]
"""From ``namespace/name`` to the pod; ``ValueError`` when there is none."""


class NodeFaults:
    """Faults in the nodes of one cluster."""

    def __init__(self, nodes: Nodes, pod_of: PodOf) -> None:
        self._nodes, self._pod_of = nodes, pod_of

    def inject(self, fault: Fault, target: str) -> None:
        """Break ``target``; ``ValueError`` when there is none such, :class:`ClusterError` when it does not break."""
        match fault:
            case Fault.STOP_NODE | Fault.PAUSE_NODE:
                break_node(fault, self._nodes.named(target))
            case Fault.START_NODE:
                node = self._nodes.named(target)
                break_node(fault, node)
                _script(node, scripts.JOIN)
            case Fault.CUT_NODE:
                _script(self._worker(target), scripts.CUT)
            case Fault.SLOW_NODE:
                node = self._nodes.named(target)
                _script(node, scripts.CAN_FREEZE)
                node.exec_run(["sh", "-c", scripts.SLOW], detach=True)
            case Fault.STOP_COMPONENT | Fault.START_COMPONENT:
                self._component(target, stop=fault is Fault.STOP_COMPONENT)
            case Fault.STOP_CONTROLLER | Fault.START_CONTROLLER:
                script = scripts.STOP_CONTROLLER if fault is Fault.STOP_CONTROLLER else scripts.START_CONTROLLER
                _script(self._nodes.control_plane(), script, flag_name(target))
            case Fault.LOSSY_PATH | Fault.MEND_PATH:
                self._path(fault, target)
            case Fault.BACKUP_ETCD | Fault.RESTORE_ETCD:
                self._etcd(fault, target)
            case Fault.KILL_CONTAINER | Fault.FREEZE_CONTAINER | Fault.THAW_CONTAINER:
                self._container(fault, target)
            case _:
                raise ClusterError(f"kind cannot do {fault.value}: {WHY_NOT[fault]}")

    def heal(self, wait_for_api: Callable[[], None]) -> None:
        """Undo whatever is in force on any node; ``wait_for_api`` is called when that may have been away."""
        away = False
        for node in self._nodes.all():
            node.reload()
            if node.status != "running":
                break_node(Fault.START_NODE, node)
                away = True
            away = bool(_script(node, scripts.HEAL)) or away
        if away:
            wait_for_api()
        _script(self._nodes.control_plane(), scripts.START_COREDNS)

    def _worker(self, name: str) -> Container:
        node = self._nodes.named(name)
        if node.labels.get(ROLE_LABEL) == "control-plane":
            raise ValueError(f"the API server is on {name}; cut off a worker")
        return node

    def _component(self, target: str, *, stop: bool) -> None:
        name, _, node = target.partition("/")
        if target in STATIC_PODS:
            script = scripts.STOP_STATIC_POD if stop else scripts.START_STATIC_POD
            _script(self._nodes.control_plane(), script, name)
        elif target == "coredns":
            _script(self._nodes.control_plane(), scripts.STOP_COREDNS if stop else scripts.START_COREDNS)
        elif name == "kubelet" and node:
            _script(self._nodes.named(node), f"systemctl {'stop' if stop else 'start'} kubelet")
        elif name == "kube-proxy":
            for one in [self._nodes.named(node)] if node else self._nodes.all():
                _script(one, f"pkill -{'STOP' if stop else 'CONT'} -x kube-proxy || true")
        else:
            raise ValueError(f"there is no component {target!r}; there are: {', '.join(COMPONENTS)}")

    def _path(self, fault: Fault, target: str) -> None:
        """At the client's end, before its node turns the server's address back into the Service's."""
        words = target.split()
        if len(words) != (3 if fault is Fault.LOSSY_PATH else 2):
            raise ValueError(f"a path is named NAMESPACE/POD NAMESPACE/POD, client and server, not {target!r}")
        percent = words[-1].removesuffix("%") if fault is Fault.LOSSY_PATH else "0"
        if not percent.isdecimal() or int(percent) > MOST_LOST:
            raise ValueError(f"a loss is 0% to {MOST_LOST}%, not {words[-1]!r}")
        client, server = self._pod_of(words[0]), self._pod_of(words[1])
        node, ends = self._nodes.named(client["spec"]["nodeName"]), (_address(server), _address(client))
        _script(node, scripts.MEND_PATH, *ends)
        if fault is Fault.LOSSY_PATH:
            _script(node, scripts.LOSSY_PATH, *ends, f"{int(percent) / 100:.2f}")

    def _etcd(self, fault: Fault, name: str) -> None:
        if not re.fullmatch(r"[a-z0-9][-a-z0-9]{0,39}", name):
            raise ValueError(f"a backup has a name of at most 40 lower-case letters, digits and dashes, not {name!r}")
        script = scripts.BACKUP if fault is Fault.BACKUP_ETCD else scripts.RESTORE
        _script(self._nodes.control_plane(), script, name)
        for node in self._nodes.all() if fault is Fault.RESTORE_ETCD else ():
            _script(node, scripts.RECONNECT)

    def _container(self, fault: Fault, target: str) -> None:
        pod, _, container = target.rpartition("/")
        place, found = place_of(self._pod_of(pod), container)
        node = self._nodes.named(place)
        if fault is Fault.KILL_CONTAINER:
            run(node, ["ctr", "-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", found])
        else:
            _script(node, scripts.FREEZE if fault is Fault.FREEZE_CONTAINER else scripts.THAW, found)


def _address(pod: Mapping[str, Any]) -> str:
    address = str((pod.get("status") or {}).get("podIP") or "")
    if not address:
        raise ValueError(f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']} has no address")
    return address


def _script(node: Container, script: str, *arguments: str) -> str:
    """Run a script in a node; what it printed."""
    return run(node, ["sh", "-c", script, "sh", *arguments])
