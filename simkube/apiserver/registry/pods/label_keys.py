"""``matchLabelKeys``: a new pod's own values of these labels become part of its selectors.

After ``pkg/registry/core/pod/strategy.go`` (applyMatchLabelKeysAndMismatchLabelKeys, applyMatchLabelKeys...): for the
terms of pod affinity and anti-affinity, and for topology spread constraints. A term without a selector stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from simkube.client.client import Obj


def merge(pod: Obj) -> None:
    """Change the selectors of a new pod in place."""
    labels = pod["metadata"].get("labels") or {}
    spec = pod["spec"]
    for term in _terms(spec.get("affinity") or {}):
        _add(term, labels, "matchLabelKeys", "In")
        _add(term, labels, "mismatchLabelKeys", "NotIn")
    for constraint in spec.get("topologySpreadConstraints") or ():
        _add(constraint, labels, "matchLabelKeys", "In")


def _terms(affinity: Obj) -> Iterator[Obj]:
    for kind in ("podAffinity", "podAntiAffinity"):
        of = affinity.get(kind) or {}
        yield from of.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for each in of.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield each.get("podAffinityTerm") or {}


def _add(term: Obj, labels: dict[str, str], keys: str, operator: str) -> None:
    selector = term.get("labelSelector")
    if selector is None:
        return
    new = [{"key": key, "operator": operator, "values": [labels[key]]} for key in term.get(keys) or () if key in labels]
    if new:
        selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), *new]
