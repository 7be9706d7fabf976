"""Preemption: a pod that fits nowhere may take the place of pods of lower priority.

The node is chosen where the fewest disruption budgets are broken, then where the least important pods have to go, and
of these as few as possible. Source: ``pkg/scheduler/framework/preemption``, ``plugins/defaultpreemption``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from simkube.apimachinery.labels import matches
from simkube.client.client import Key, Obj, key_of
from simkube.component_helpers import pods as podstate
from simkube.scheduler.filters import Placement, Refusal
from simkube.scheduler.nodes import NodeInfo, Nodes
from simkube.scheduler.volumes import PodVolumes

HELPLESS = "Preemption is not helpful for scheduling"
MOST_NODES = 10
"""So many nodes where it would help are compared when each costs a look at all pods, and on each of them"""
MOST_SPARED = 20
"""so many pods at most are tried to be spared, the most important ones."""
NO_VICTIMS = "No preemption victims found for incoming pod"
_BY_SCHEDULER = "PreemptionByScheduler"


@dataclass(frozen=True, slots=True)
class Preemption:
    """Who has to go from which node."""

    node: str
    victims: tuple[Obj, ...]
    violations: int = 0


def priority(pod: Obj) -> int:
    """A pod's priority; 0 when it has none."""
    return int(pod["spec"].get("priority") or 0)


def not_eligible(pod: Obj, nodes: Nodes, refusals: Mapping[str, Refusal]) -> str:
    """Why this pod may not preempt at all; "" when it may. ``refusals`` say why it fits on no node now."""
    if pod["spec"].get("preemptionPolicy") == "Never":
        return "not eligible due to preemptionPolicy=Never."
    nominated = nodes.get((pod.get("status") or {}).get("nominatedNodeName") or "")
    if nominated is None or (nominated.name in refusals and refusals[nominated.name].final):
        return ""  # the room that is being made there would be of no use
    if any(_is_going(each) for each in _lower(pod, nominated)):
        return "not eligible due to a terminating pod on the nominated node."
    return ""


def _is_going(pod: Obj) -> bool:
    if "deletionTimestamp" not in pod["metadata"]:
        return False
    return (podstate.condition(pod, "DisruptionTarget") or {}).get("reason") == _BY_SCHEDULER


class Search:
    """Where one pod could make itself room; ``budgets`` are the disruption budgets of all namespaces.

    ``coming`` names the pods at least as important that were promised a place on a node: they count as if they were
    there, or two pods would make room for themselves with the same victim.
    """

    def __init__(
        self,
        pod: Obj,
        nodes: Nodes,
        coming: Callable[[str], list[Obj]],
        budgets: Sequence[Obj] = (),
        volumes: PodVolumes | None = None,
    ) -> None:
        self._pod = pod
        self._nodes = nodes
        self._coming = coming
        self._budgets = budgets
        self._volumes = volumes
        self._wide = Placement(pod, nodes).wide

    def best(self, refusals: Mapping[str, Refusal]) -> Preemption | None:
        """The least costly preemption, or None when there is none that helps."""
        found: list[tuple[tuple[int, int, int, int, float, str], Preemption]] = []
        for name, refused in refusals.items():
            info = self._nodes.get(name)
            if refused.final or info is None:
                continue
            made = self._on(info)
            if made is not None:
                found.append((_cost(made), made))
            if self._wide and len(found) >= MOST_NODES:
                break
        return min(found, key=lambda each: each[0])[1] if found else None

    def _on(self, info: NodeInfo) -> Preemption | None:
        """The pods that have to go from this node; None when not even all of lower priority would be enough."""
        going = _lower(self._pod, info)
        if not going or not self._fits(info, going):
            return None
        broken, kept = self._by_budget(going)
        violations = 0
        for group in (broken, kept):
            for each in group[:MOST_SPARED] if self._wide else group:
                fewer = [other for other in going if other is not each]
                if self._fits(info, fewer):
                    going = fewer
                elif group is broken:
                    violations += 1
        return Preemption(info.name, tuple(going), violations) if going else None

    def _by_budget(self, pods: Sequence[Obj]) -> tuple[list[Obj], list[Obj]]:
        """Pods whose end would break a disruption budget, and the others; both as important as they were given."""
        allowed = [int((budget.get("status") or {}).get("disruptionsAllowed") or 0) for budget in self._budgets]
        broken: list[Obj] = []
        kept: list[Obj] = []
        for pod in pods:
            breaks = False
            for index, budget in enumerate(self._budgets):
                if _covers(budget, pod):
                    allowed[index] -= 1
                    breaks = breaks or allowed[index] < 0
            (broken if breaks else kept).append(pod)
        return broken, kept

    def _fits(self, info: NodeInfo, without: list[Obj]) -> bool:
        """Whether the pod fits without some, both beside those that were promised a place and, as they may never
        come and a pod may need them near, without them."""
        keys, coming = {key_of(each) for each in without}, self._coming(info.name)
        return all(self._runs_on(info.name, keys, more) for more in ([coming, []] if coming else [[]]))

    def _runs_on(self, node: str, without: set[Key], more: Sequence[Obj]) -> bool:
        rest = self._nodes.without(node, without, more)
        there = rest.get(node)
        return there is not None and Placement(self._pod, rest, self._volumes).refusal(there) is None


def _covers(budget: Obj, pod: Obj) -> bool:
    if budget["metadata"].get("namespace") != pod["metadata"]["namespace"]:
        return False
    if pod["metadata"]["name"] in ((budget.get("status") or {}).get("disruptedPods") or {}):
        return False
    labels = pod["metadata"].get("labels")
    return bool(labels) and matches(budget["spec"].get("selector"), labels)


def _cost(made: Preemption) -> tuple[int, int, int, int, float, str]:
    values = [priority(each) for each in made.victims]
    highest = max(values)
    started = [_started(each) for each in made.victims if priority(each) == highest]
    return made.violations, highest, sum(values), len(values), -min(started), made.node


def _started(pod: Obj) -> float:
    return podstate.seconds_of((pod.get("status") or {}).get("startTime"))


def outcomes(refusals: Mapping[str, Refusal]) -> Counter[str]:
    """Per reason, on how many nodes preemption does not help."""
    return Counter(HELPLESS if refused.final else NO_VICTIMS for refused in refusals.values())


def _lower(pod: Obj, info: NodeInfo) -> list[Obj]:
    """Pods of lower priority there, the most important first."""
    mine = priority(pod)
    lower = [each for each in info.pods.values() if priority(each) < mine]
    return sorted(lower, key=lambda each: (-priority(each), _started(each), each["metadata"]["name"]))
