"""Which of the nodes a pod fits on is best: emptiest, most even, best liked.

Each plugin's scores are brought to 0..100 and weighted as in Kubernetes' default profile; what is left equal is decided
by the fewest pods of the same owner, the fewest pods, and the name, so that the same cluster always decides the same.
Source: ``pkg/scheduler/framework/plugins`` (NodeResourcesFit LeastAllocated, BalancedAllocation, TaintToleration,
NodeAffinity, PodTopologySpread, InterPodAffinity); image locality is left out, every node has every image.
"""

from __future__ import annotations

from collections.abc import Sequence

from simkube.apimachinery.labels import matches_node_term
from simkube.client.client import Obj
from simkube.component_helpers.owners import controller_of
from simkube.component_helpers.tolerations import tolerates
from simkube.scheduler.filters import Placement
from simkube.scheduler.nodes import NodeInfo, scored_requests

BEST = 100.0


def best(placement: Placement, infos: Sequence[NodeInfo]) -> NodeInfo:
    """The node to bind to; ``infos`` is not empty."""
    if len(infos) == 1:
        return infos[0]
    pod = placement.pod
    owner = (controller_of(pod) or {}).get("uid", "")
    asked = scored_requests(pod)
    totals = [_resources(asked, info) for info in infos]
    _add(totals, 3, _normalised([_preferring_taints(placement, info) for info in infos], reverse=True))
    _add(totals, 2, _normalised([_preferred_nodes(pod, info) for info in infos]))
    _add(totals, 2, _normalised([placement.affinity.score(info) for info in infos]))
    crowds = [placement.spread.crowd(info) if placement.spread.soft else info.owners[owner] for info in infos]
    _add(totals, 2, _normalised(crowds, reverse=True))
    order = [
        (-round(total, 6), info.owners[owner], len(info.pods), info.name)
        for total, info in zip(totals, infos, strict=True)
    ]
    return infos[order.index(min(order))]


def _resources(asked: tuple[int, int], info: NodeInfo) -> float:
    """LeastAllocated plus BalancedAllocation, over CPU and memory."""
    shares: list[float] = []
    for amount, used, name in zip(asked, info.scored, ("cpu", "memory"), strict=True):
        has = info.allocatable.get(name, 0)
        shares.append(min(1.0, (used + amount) / has) if has else 1.0)
    least = BEST * (1 - sum(shares) / 2)
    balanced = BEST * (1 - abs(shares[0] - shares[1]) / 2)
    return least + balanced


def _preferring_taints(placement: Placement, info: NodeInfo) -> int:
    soft = [taint for taint in info.taints if taint.get("effect") == "PreferNoSchedule"]
    return sum(not any(tolerates(each, taint) for each in placement.tolerations) for taint in soft)


def _preferred_nodes(pod: Obj, info: NodeInfo) -> int:
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return sum(each["weight"] for each in preferred if matches_node_term(each["preference"], info.labels, info.name))


def _normalised(values: Sequence[int], *, reverse: bool = False) -> list[float]:
    low, high = min(values), max(values)
    if low == high:
        return [0.0] * len(values)
    scaled = [BEST * (value - low) / (high - low) for value in values]
    return [BEST - value for value in scaled] if reverse else scaled


def _add(totals: list[float], weight: int, scores: Sequence[float]) -> None:
    for index, score in enumerate(scores):
        totals[index] += weight * score
