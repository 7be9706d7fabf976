"""What the scheduler knows of each node: what it has, what is taken, who runs there.

Kept current pod by pod, so that placing one more pod costs a look at each node and not at each pod.
Source: ``pkg/scheduler/framework/types.go`` (NodeInfo).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from simkube.apimachinery.quantity import milli
from simkube.client.client import Key, Obj, key_of
from simkube.component_helpers.owners import controller_of
from simkube.component_helpers.pods import FINISHED, phase
from simkube.component_helpers.volumebinding import claim_names

PODS = "pods"
DEFAULT_CPU = 100
"""Thousandths of a CPU that a container without a request counts for when nodes are scored."""
DEFAULT_MEMORY = 200 * 1024 * 1024 * 1000


def requests(pod: Obj) -> dict[str, int]:
    """What a pod asks for, in thousandths of each resource's unit; init containers count where they ask for more.

    A container that was given another size than it asks for now counts for the larger one, until the node has agreed.
    """
    spec, held = pod["spec"], _held(pod)
    wanted: Counter[str] = Counter()
    for container in spec.get("containers") or ():
        wanted.update(_requests(container, held))
    sidecars: Counter[str] = Counter()
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        asked = _requests(container, held)
        if container.get("restartPolicy") == "Always":
            sidecars.update(asked)
            asked = dict(sidecars)
        else:
            asked = dict(sidecars + Counter(asked))
        for name, amount in asked.items():
            peak[name] = max(peak.get(name, 0), amount)
    wanted.update(sidecars)
    total = {name: max(wanted[name], peak.get(name, 0)) for name in {*wanted, *peak}}
    total |= _requests(spec, {})
    for name, amount in _quantities(spec.get("overhead")).items():
        total[name] = total.get(name, 0) + amount
    return {name: amount for name, amount in total.items() if amount}


def _requests(container: Obj, held: Mapping[str, Obj]) -> dict[str, int]:
    asked = _quantities((container.get("resources") or {}).get("requests"))
    for name, amount in _quantities(held.get(container.get("name", ""))).items():
        asked[name] = max(asked.get(name, 0), amount)
    return asked


def _held(pod: Obj) -> dict[str, Obj]:
    """What the node has given each container, by its name."""
    status = pod.get("status") or {}
    return {
        each["name"]: each["allocatedResources"]
        for part in ("containerStatuses", "initContainerStatuses")
        for each in status.get(part) or ()
        if each.get("allocatedResources")
    }


def _quantities(amounts: Obj | None) -> dict[str, int]:
    return {name: milli(amount) for name, amount in (amounts or {}).items()}


def scored_requests(pod: Obj) -> tuple[int, int]:
    """CPU and memory as counted when nodes are scored: containers that ask for nothing count for a little."""
    asked = requests(pod)
    containers = len(pod["spec"].get("containers") or ())
    return asked.get("cpu") or DEFAULT_CPU * containers, asked.get("memory") or DEFAULT_MEMORY * containers


HostPort = tuple[str, str, int]


def host_ports(pod: Obj) -> list[HostPort]:
    """The ``(address, protocol, port)`` of the node that a pod takes."""
    return [
        (port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), port["hostPort"])  # noqa: S104 - any address
        for container in pod["spec"].get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]


class NodeInfo:
    """One node and the pods bound to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.node: Obj | None = None
        self.allocatable: dict[str, int] = {}
        self.requested: Counter[str] = Counter()
        self.scored = [0, 0]
        self.ports: Counter[HostPort] = Counter()
        self.owners: Counter[str] = Counter()
        self.pods: dict[Key, Obj] = {}

    @property
    def labels(self) -> dict[str, str]:
        """The node's labels."""
        meta = self.node["metadata"] if self.node else {}
        labels: dict[str, str] = meta.get("labels") or {}
        return labels

    @property
    def taints(self) -> list[Obj]:
        """The node's taints."""
        return list((self.node["spec"].get("taints") if self.node else None) or ())

    @property
    def unschedulable(self) -> bool:
        """Whether it is cordoned."""
        return bool(self.node and self.node["spec"].get("unschedulable"))

    def set_node(self, node: Obj | None) -> None:
        """Take over what the node says about itself now."""
        self.node = node
        status = (node.get("status") or {}) if node else {}
        self.allocatable = _quantities(status.get("allocatable") or status.get("capacity"))

    def put(self, pod: Obj) -> None:
        """Count a pod that is bound here."""
        self.remove(key_of(pod))
        self.pods[key_of(pod)] = pod
        self._count(pod, 1)

    def remove(self, key: Key) -> None:
        """Count it no more."""
        pod = self.pods.pop(key, None)
        if pod is not None:
            self._count(pod, -1)

    def _count(self, pod: Obj, sign: int) -> None:
        for name, amount in requests(pod).items():
            self.requested[name] += sign * amount
        for index, amount in enumerate(scored_requests(pod)):
            self.scored[index] += sign * amount
        for port in host_ports(pod):
            self.ports[port] += sign
            if not self.ports[port]:
                del self.ports[port]
        owner = controller_of(pod)
        if owner is not None:
            self.owners[owner["uid"]] += sign
            if not self.owners[owner["uid"]]:
                del self.owners[owner["uid"]]


class Nodes:
    """All nodes, by name; it also remembers which bound pods keep others away."""

    def __init__(self) -> None:
        self._infos: dict[str, NodeInfo] = {}
        self._where: dict[Key, str] = {}
        self.repelling: dict[Key, Obj] = {}
        self.drawing: dict[Key, Obj] = {}
        """Bound pods that would rather have others near or far, or that need some near."""
        self.namespace_labels: dict[str, dict[str, str]] = {}
        self._claims: dict[Key, set[Key]] = {}
        self._sorted: list[NodeInfo] | None = None

    def all(self) -> list[NodeInfo]:
        """The nodes there are, in the order of their names."""
        if self._sorted is None:
            self._sorted = [self._infos[name] for name in sorted(self._infos) if self._infos[name].node is not None]
        return self._sorted

    def claim_users(self, claim: Key) -> set[Key]:
        """The bound pods that use a claim."""
        return self._claims.get(claim, set())

    def get(self, name: str) -> NodeInfo | None:
        """One node."""
        info = self._infos.get(name)
        return info if info is not None and info.node is not None else None

    def set_node(self, name: str, node: Obj | None) -> None:
        """A node came, changed or (None) went."""
        info = self._info(name)
        if (info.node is None) != (node is None):
            self._sorted = None
        info.set_node(node)
        if node is None and not self._infos[name].pods:
            del self._infos[name]

    def set_pod(self, pod: Obj) -> None:
        """A pod came or changed; it counts while it is bound and not finished."""
        node = pod["spec"].get("nodeName")
        if not node or phase(pod) in FINISHED:
            self.drop_pod(key_of(pod))
            return
        key = key_of(pod)
        if self._where.get(key) not in (None, node):
            self.drop_pod(key)
        self._where[key] = node
        self._info(node).put(pod)
        if required_terms(pod, "podAntiAffinity"):
            self.repelling[key] = pod
        if _draws(pod):
            self.drawing[key] = pod
        for _, claim, _ in claim_names(pod):
            self._claims.setdefault((key[0], claim), set()).add(key)

    def drop_pod(self, key: Key) -> None:
        """A pod is gone."""
        node = self._where.pop(key, None)
        self.repelling.pop(key, None)
        self.drawing.pop(key, None)
        pod = self._infos[node].pods.get(key) if node is not None else None
        for _, name, _ in claim_names(pod) if pod is not None else ():
            users = self._claims.get((key[0], name), set())
            users.discard(key)
            if not users:
                self._claims.pop((key[0], name), None)
        if node is not None:
            self._infos[node].remove(key)
            if self._infos[node].node is None and not self._infos[node].pods:
                del self._infos[node]

    def bound(self, key: Key) -> bool:
        """Whether the pod counts on a node, bound there or about to be."""
        return key in self._where

    def pods(self) -> Iterable[tuple[NodeInfo, Obj]]:
        """Every bound pod with its node."""
        for info in self.all():
            for pod in info.pods.values():
                yield info, pod

    def without(self, node: str, keys: set[Key], more: Iterable[Obj] = ()) -> Nodes:
        """The same nodes as they would be without some pods of one of them, or with some ``more`` there."""
        rest = Nodes()
        rest.namespace_labels = self.namespace_labels
        rest._infos = dict(self._infos)
        rest.repelling = {key: pod for key, pod in self.repelling.items() if key not in keys}
        rest.drawing = self.drawing  # only scores are made of it
        rest._claims = {claim: users - keys for claim, users in self._claims.items()} if keys else dict(self._claims)
        thinned = NodeInfo(node)
        thinned.set_node(self._infos[node].node)
        for key, pod in self._infos[node].pods.items():
            if key not in keys:
                thinned.put(pod)
        for pod in more:
            there = {**pod, "spec": {**pod["spec"], "nodeName": node}}
            thinned.put(there)
            if required_terms(there, "podAntiAffinity"):
                rest.repelling[key_of(there)] = there
        rest._infos[node] = thinned
        return rest

    def _info(self, name: str) -> NodeInfo:
        if name not in self._infos:
            self._infos[name] = NodeInfo(name)
        return self._infos[name]


def _draws(pod: Obj) -> bool:
    affinity = pod["spec"].get("affinity")
    if not affinity:
        return False
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    near, apart = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
    return bool(near or apart.get(preferred))


def required_terms(pod: Obj, kind: str) -> list[Obj]:
    """The required terms of ``podAffinity`` or ``podAntiAffinity``."""
    affinity = (pod["spec"].get("affinity") or {}).get(kind) or {}
    return list(affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
