"""Preemption: a pod that fits nowhere may take the place of pods of lower priority.

The node is chosen where the least important pods have to go, and of these as few as possible. Disruption budgets do not
exist here. Source: ``pkg/scheduler/framework/preemption/preemption.go``, ``plugins/defaultpreemption``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from simkube.client import Obj, key_of
from simkube.scheduler.filters import Placement, Refusal
from simkube.scheduler.nodes import NodeInfo, Nodes

HELPLESS = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"


@dataclass(frozen=True, slots=True)
class Preemption:
    """Who has to go from which node."""

    node: str
    victims: tuple[Obj, ...]


def priority(pod: Obj) -> int:
    """A pod's priority; 0 when it has none."""
    return int(pod["spec"].get("priority") or 0)


def not_eligible(pod: Obj, nodes: Nodes) -> str:
    """Why this pod may not preempt at all; "" when it may."""
    if pod["spec"].get("preemptionPolicy") == "Never":
        return "not eligible due to preemptionPolicy=Never."
    nominated = nodes.get((pod.get("status") or {}).get("nominatedNodeName") or "")
    if nominated is not None and any("deletionTimestamp" in each["metadata"] for each in _lower(pod, nominated)):
        return "not eligible due to a terminating pod on the nominated node."
    return ""


def find(pod: Obj, nodes: Nodes, refusals: dict[str, Refusal]) -> Preemption | None:
    """The least costly preemption, or None when there is none that helps."""
    found: list[tuple[tuple[int, int, int, str], Preemption]] = []
    for name, refused in refusals.items():
        info = nodes.get(name)
        if refused.final or info is None:
            continue
        victims = _victims(pod, nodes, info)
        if victims:
            values = [priority(each) for each in victims]
            found.append(((max(values), sum(values), len(values), name), Preemption(name, tuple(victims))))
    return min(found, key=lambda each: each[0])[1] if found else None


def outcomes(refusals: dict[str, Refusal]) -> Counter[str]:
    """Per reason, on how many nodes preemption does not help."""
    return Counter(HELPLESS if refused.final else NO_VICTIMS for refused in refusals.values())


def _lower(pod: Obj, info: NodeInfo) -> list[Obj]:
    """Pods of lower priority there, the most important first."""
    mine = priority(pod)
    lower = [each for each in info.pods.values() if priority(each) < mine]
    return sorted(
        lower,
        key=lambda each: (-priority(each), (each.get("status") or {}).get("startTime") or "", each["metadata"]["name"]),
    )


def _victims(pod: Obj, nodes: Nodes, info: NodeInfo) -> list[Obj]:
    """The pods that have to go from this node; none when not even all of lower priority would be enough."""
    going = _lower(pod, info)
    if not going or not _fits(pod, nodes, info, going):
        return []
    for each in list(going):
        fewer = [other for other in going if other is not each]
        if _fits(pod, nodes, info, fewer):
            going = fewer
    return going


def _fits(pod: Obj, nodes: Nodes, info: NodeInfo, without: list[Obj]) -> bool:
    rest = nodes.without(info.name, {key_of(each) for each in without})
    there = rest.get(info.name)
    return there is not None and Placement(pod, rest).refusal(there) is None
