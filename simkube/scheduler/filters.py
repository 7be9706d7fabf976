"""Can this pod run on this node? One function a plugin, in the order in which Kubernetes asks them.

The first plugin that says no ends the question for a node. A refusal is *final* when taking other pods away from the
node would not change it. Source: ``pkg/scheduler/framework/plugins``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simkube.apimachinery.labels import matches_node, matches_set
from simkube.client.client import Obj
from simkube.component_helpers.tolerations import tolerates
from simkube.scheduler.affinity import InterPodAffinity
from simkube.scheduler.nodes import PODS, NodeInfo, Nodes, host_ports, requests
from simkube.scheduler.spread import TopologySpread
from simkube.scheduler.volumes import PodVolumes

UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not, in the scheduler's words; ``final`` when preemption cannot help; ``plugin`` says who refused."""

    reasons: tuple[str, ...]
    plugin: str
    final: bool


class Placement:
    """One pod's question to all nodes: what is the same for every node is worked out once."""

    def __init__(self, pod: Obj, nodes: Nodes, volumes: PodVolumes | None = None) -> None:
        self.pod = pod
        self.nodes = nodes
        self.volumes = volumes
        self.requests = requests(pod)
        self.ports = host_ports(pod)
        self.tolerations = list(pod["spec"].get("tolerations") or ())
        self.named = named_nodes(pod)
        self.spread = TopologySpread(pod, nodes)
        self.affinity = InterPodAffinity(pod, nodes)

    def refusal(self, info: NodeInfo) -> Refusal | None:
        """Why the pod cannot run there, or None."""
        if self.named is not None and info.name not in self.named:
            return Refusal(("node(s) didn't satisfy plugin(s) [NodeAffinity]",), "NodeAffinity", True)
        for check in _FILTERS:
            refused = check(self, info)
            if refused is not None:
                return refused
        return None

    @property
    def wide(self) -> bool:
        """Whether it had to look at the pods of every node, so that asking again costs much."""
        spec = self.pod["spec"]
        return bool(self.nodes.repelling or spec.get("affinity") or spec.get("topologySpreadConstraints"))


def named_nodes(pod: Obj) -> set[str] | None:
    """The nodes that a pod's affinity names one by one, as that of a daemon's pod does; None when it names none."""
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or ()
    found: set[str] = set()
    for term in terms:
        names: set[str] | None = None
        for each in term.get("matchFields") or ():
            if each.get("key") == "metadata.name" and each.get("operator") == "In":
                values = set(each.get("values") or ())
                names = values if names is None else names & values
        if names is None:
            return None
        found |= names
    return found if terms else None


def _unschedulable(placement: Placement, info: NodeInfo) -> Refusal | None:
    taint = {"key": UNSCHEDULABLE_TAINT, "effect": "NoSchedule"}
    if not info.unschedulable or any(tolerates(each, taint) for each in placement.tolerations):
        return None
    return Refusal(("node(s) were unschedulable",), "NodeUnschedulable", True)


def _node_name(placement: Placement, info: NodeInfo) -> Refusal | None:
    wanted = placement.pod["spec"].get("nodeName")
    if not wanted or wanted == info.name:
        return None
    return Refusal(("node(s) didn't match the requested node name",), "NodeName", True)


def _taints(placement: Placement, info: NodeInfo) -> Refusal | None:
    for taint in info.taints:
        harmful = taint.get("effect") in ("NoSchedule", "NoExecute")
        if harmful and not any(tolerates(each, taint) for each in placement.tolerations):
            return Refusal(("node(s) had untolerated taint(s)",), "TaintToleration", True)
    return None


def _node_affinity(placement: Placement, info: NodeInfo) -> Refusal | None:
    spec = placement.pod["spec"]
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    fits = matches_set(spec.get("nodeSelector"), info.labels)
    if fits and (required is None or matches_node(required, info.labels, info.name)):
        return None
    return Refusal(("node(s) didn't match Pod's node affinity/selector",), "NodeAffinity", True)


def _ports(placement: Placement, info: NodeInfo) -> Refusal | None:
    for address, protocol, port in placement.ports:
        for other_address, other_protocol, other_port in info.ports:
            same = address == other_address or "0.0.0.0" in (address, other_address)  # noqa: S104 - any address
            if same and (protocol, port) == (other_protocol, other_port):
                reason = "node(s) didn't have free ports for the requested pod ports"
                return Refusal((reason,), "NodePorts", False)
    return None


def _resources(placement: Placement, info: NodeInfo) -> Refusal | None:
    reasons: list[str] = []
    final = False
    if len(info.pods) + 1 > info.allocatable.get(PODS, 0) // 1000:
        reasons.append("Too many pods")
    for name, amount in placement.requests.items():
        has = info.allocatable.get(name, 0)
        if amount > has - info.requested[name]:
            reasons.append(f"Insufficient {name}")
            final = final or amount > has
    return Refusal(tuple(reasons), "NodeResourcesFit", final) if reasons else None


def _volumes(placement: Placement, info: NodeInfo) -> Refusal | None:
    if placement.volumes is None:
        return None
    refused = placement.volumes.refusal(info, placement.nodes)
    return Refusal(*refused) if refused else None


def _spread(placement: Placement, info: NodeInfo) -> Refusal | None:
    refused = placement.spread.refusal(info)
    return Refusal((refused[0],), "PodTopologySpread", refused[1]) if refused else None


def _affinity(placement: Placement, info: NodeInfo) -> Refusal | None:
    refused = placement.affinity.refusal(info)
    return Refusal((refused[0],), "InterPodAffinity", refused[1]) if refused else None


_FILTERS: tuple[Callable[[Placement, NodeInfo], Refusal | None], ...] = (
    _unschedulable,
    _node_name,
    _taints,
    _node_affinity,
    _ports,
    _resources,
    _volumes,
    _spread,
    _affinity,
)
