"""Pods that want to be, or must not be, beside other pods.

Counts once per placement how many pods match each term in each topology domain. Source:
``pkg/scheduler/framework/plugins/interpodaffinity``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from simkube.apimachinery.labels import matches
from simkube.client.client import Obj
from simkube.scheduler.nodes import NodeInfo, Nodes, required_terms

Domain = tuple[str, str]
"""A topology key and its value on a node."""

HARD_WEIGHT = 1
"""What a required affinity of a pod that runs counts for when the node of another is chosen."""
_AFFINITY = "node(s) didn't match pod affinity rules"
_ANTI = "node(s) didn't match pod anti-affinity rules"
_EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"


def selects(term: Obj, owner: Obj, pod: Obj, nodes: Nodes) -> bool:
    """Whether a pod (anti-)affinity term of ``owner`` is about ``pod``."""
    namespace = pod["metadata"]["namespace"]
    selector = term.get("namespaceSelector")
    names = term.get("namespaces") or ([owner["metadata"]["namespace"]] if selector is None else [])
    if namespace not in names and not matches(selector, nodes.namespace_labels.get(namespace)):
        return False
    labels = pod["metadata"].get("labels") or {}
    if not matches(term.get("labelSelector"), labels):
        return False
    mine = owner["metadata"].get("labels") or {}
    same = all(labels.get(key) == mine.get(key) for key in term.get("matchLabelKeys") or () if key in mine)
    other = term.get("mismatchLabelKeys") or ()
    return same and not any(labels.get(key) == mine[key] for key in other if key in mine)


class InterPodAffinity:
    """One pod's required and preferred terms against the pods that are bound."""

    def __init__(self, pod: Obj, nodes: Nodes) -> None:
        self._pod = pod
        self._nodes = nodes
        self._near = required_terms(pod, "podAffinity")
        self._apart = required_terms(pod, "podAntiAffinity")
        self._near_counts = self._matching_all(self._near, nodes)
        self._apart_counts = [self._matching(term, nodes) for term in self._apart]
        self._repelled = self._repelled_from(nodes)
        self._preferences = self._preferred(nodes)

    def refusal(self, info: NodeInfo) -> tuple[str, bool] | None:
        """The reason and whether it is final, or None."""
        if not self._near_enough(info):
            return _AFFINITY, True
        for term, counts in zip(self._apart, self._apart_counts, strict=True):
            if counts[_domain(term, info)]:
                return _ANTI, False
        if any(self._repelled[(key, value)] for key, value in info.labels.items()):
            return _EXISTING, False
        return None

    def score(self, info: NodeInfo) -> int:
        """The sum of the weights of the preferences that hold there."""
        return sum(self._preferences[(key, value)] for key, value in info.labels.items())

    def _near_enough(self, info: NodeInfo) -> bool:
        if not self._near:
            return True
        if any(term["topologyKey"] not in info.labels for term in self._near):
            return False
        if all(counts[_domain(term, info)] for term, counts in zip(self._near, self._near_counts, strict=True)):
            return True
        nobody = not any(sum(counts.values()) for counts in self._near_counts)
        return nobody and all(selects(term, self._pod, self._pod, self._nodes) for term in self._near)

    def _matching_all(self, terms: Sequence[Obj], nodes: Nodes) -> list[Counter[Domain]]:
        """Domains of the pods that match every term, counted per term."""
        counts: list[Counter[Domain]] = [Counter() for _ in terms]
        for info, other in nodes.pods() if terms else ():
            if all(selects(term, self._pod, other, nodes) for term in terms):
                for term, counter in zip(terms, counts, strict=True):
                    counter[_domain(term, info)] += 1
        return counts

    def _matching(self, term: Obj, nodes: Nodes) -> Counter[Domain]:
        counts: Counter[Domain] = Counter()
        for info, other in nodes.pods():
            if term["topologyKey"] in info.labels and selects(term, self._pod, other, nodes):
                counts[_domain(term, info)] += 1
        return counts

    def _repelled_from(self, nodes: Nodes) -> Counter[Domain]:
        counts: Counter[Domain] = Counter()
        for other in nodes.repelling.values():
            info = nodes.get(other["spec"]["nodeName"])
            for term in required_terms(other, "podAntiAffinity") if info is not None else ():
                if info is not None and term["topologyKey"] in info.labels and selects(term, other, self._pod, nodes):
                    counts[_domain(term, info)] += 1
        return counts

    def _preferred(self, nodes: Nodes) -> Counter[Domain]:
        counts: Counter[Domain] = Counter()
        affinity = self._pod["spec"].get("affinity") or {}
        for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
            for each in (affinity.get(kind) or {}).get("preferredDuringSchedulingIgnoredDuringExecution") or ():
                for domain, count in self._matching(each["podAffinityTerm"], nodes).items():
                    counts[domain] += sign * each["weight"] * count
        self._add_wishes_of_others(counts, nodes)
        return counts

    def _add_wishes_of_others(self, counts: Counter[Domain], nodes: Nodes) -> None:
        """What pods that run already think of having this one near: their wishes, and a little for their needs."""
        for other in nodes.drawing.values():
            info = nodes.get(other["spec"]["nodeName"])
            affinity = other["spec"]["affinity"]
            for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)) if info is not None else ():
                of = affinity.get(kind) or {}
                wishes = [
                    (each["podAffinityTerm"], sign * each["weight"])
                    for each in of.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
                ]
                if sign > 0:
                    wishes += [(term, HARD_WEIGHT) for term in required_terms(other, kind)]
                for term, weight in wishes:
                    if (
                        info is not None
                        and term["topologyKey"] in info.labels
                        and selects(term, other, self._pod, nodes)
                    ):
                        counts[_domain(term, info)] += weight


def _domain(term: Obj, info: NodeInfo) -> Domain:
    key = term["topologyKey"]
    return key, info.labels.get(key, "")
