"""Topology spread constraints: no domain may have many more matching pods than the emptiest one.

Source: ``pkg/scheduler/framework/plugins/podtopologyspread``.
"""

from __future__ import annotations

import math
from collections import Counter

from simkube.apimachinery.labels import matches, matches_node, matches_set
from simkube.client.client import Obj
from simkube.component_helpers.tolerations import tolerates
from simkube.scheduler.nodes import NodeInfo, Nodes

_MISMATCH = "node(s) didn't match pod topology spread constraints"


class TopologySpread:
    """One pod's constraints against the pods that are bound."""

    def __init__(self, pod: Obj, nodes: Nodes) -> None:
        self._pod = pod
        constraints = pod["spec"].get("topologySpreadConstraints") or ()
        self._hard = [each for each in constraints if each.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"]
        self.soft = [each for each in constraints if each.get("whenUnsatisfiable") == "ScheduleAnyway"]
        self._hard_counts = [self._count(each, nodes) for each in self._hard]
        self._soft_counts = [self._count(each, nodes) for each in self.soft]

    def refusal(self, info: NodeInfo) -> tuple[str, bool] | None:
        """The reason and whether it is final, or None."""
        for constraint, counts in zip(self._hard, self._hard_counts, strict=True):
            key = constraint["topologyKey"]
            if key not in info.labels:
                return f"{_MISMATCH} (missing required label)", True
            least = min(counts.values(), default=0)
            if len(counts) < (constraint.get("minDomains") or 1):
                least = 0
            own = 1 if self._selects(constraint, self._pod) else 0
            if counts[info.labels[key]] + own - least > constraint["maxSkew"]:
                return _MISMATCH, False
        return None

    def crowd(self, info: NodeInfo) -> int:
        """How many matching pods the soft constraints see in the node's domains: fewer is better."""
        crowd = sum(
            counts[info.labels.get(constraint["topologyKey"], "")] * math.log(len(counts) + 2)
            for constraint, counts in zip(self.soft, self._soft_counts, strict=True)
        )
        return round(crowd * 1000)

    def _count(self, constraint: Obj, nodes: Nodes) -> Counter[str]:
        """Matching pods per domain; a domain without any is there with 0."""
        key = constraint["topologyKey"]
        counts: Counter[str] = Counter()
        for info in nodes.all():
            if key in info.labels and self._eligible(constraint, info):
                counts[info.labels[key]] += sum(
                    self._selects(constraint, pod) and "deletionTimestamp" not in pod["metadata"]
                    for pod in info.pods.values()
                )
        return counts

    def _selects(self, constraint: Obj, pod: Obj) -> bool:
        if pod["metadata"]["namespace"] != self._pod["metadata"]["namespace"]:
            return False
        labels, mine = pod["metadata"].get("labels") or {}, self._pod["metadata"].get("labels") or {}
        if not matches(constraint.get("labelSelector"), labels):
            return False
        return all(labels.get(each) == mine[each] for each in constraint.get("matchLabelKeys") or () if each in mine)

    def _eligible(self, constraint: Obj, info: NodeInfo) -> bool:
        """Whether the node counts: by default those the pod's own selector allows, tainted ones too."""
        spec = self._pod["spec"]
        if constraint.get("nodeAffinityPolicy", "Honor") == "Honor":
            affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
            required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
            if not matches_set(spec.get("nodeSelector"), info.labels):
                return False
            if required is not None and not matches_node(required, info.labels, info.name):
                return False
        if constraint.get("nodeTaintsPolicy", "Ignore") == "Honor":
            return all(
                taint.get("effect") == "PreferNoSchedule"
                or any(tolerates(each, taint) for each in spec.get("tolerations") or ())
                for taint in info.taints
            )
        return True
