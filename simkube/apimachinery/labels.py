"""Selectors as objects carry them: ``LabelSelector`` and ``NodeSelector``, matched against labels.

The API server reads the string form of query parameters into requirements of the same form (:func:`holds`). This
refuses an operator it does not know by matching nothing, which is what an invalid selector matches in Kubernetes; the
API server has refused it long before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Labels = Mapping[str, str]


def matches(selector: Mapping[str, Any] | None, labels: Labels | None) -> bool:
    """Whether a ``LabelSelector`` matches; None matches nothing, an empty one everything."""
    if selector is None:
        return False
    labels = labels or {}
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(holds(each, labels) for each in selector.get("matchExpressions") or ())


def matches_set(wanted: Labels | None, labels: Labels | None) -> bool:
    """Whether all of ``wanted`` (a Service's selector, a ``nodeSelector``) are among ``labels``; empty matches all."""
    labels = labels or {}
    return all(labels.get(key) == value for key, value in (wanted or {}).items())


def matches_node(selector: Mapping[str, Any], labels: Labels | None, name: str) -> bool:
    """Whether one of a ``NodeSelector``'s terms matches a node with these labels and this name."""
    return any(matches_node_term(term, labels, name) for term in selector.get("nodeSelectorTerms") or ())


def matches_node_term(term: Mapping[str, Any], labels: Labels | None, name: str) -> bool:
    """Whether a ``NodeSelectorTerm`` matches; an empty term matches nothing."""
    expressions: Sequence[Mapping[str, Any]] = term.get("matchExpressions") or ()
    fields: Sequence[Mapping[str, Any]] = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    if not all(holds(each, labels or {}) for each in expressions):
        return False
    return all(holds(each, {"metadata.name": name}) for each in fields)


def holds(requirement: Mapping[str, Any], labels: Labels) -> bool:
    """Whether one requirement (``key``, ``operator``, ``values``) is met."""
    key, operator = requirement.get("key", ""), requirement.get("operator", "")
    values = requirement.get("values") or ()
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case "Gt" | "Lt":
            return _compared(labels.get(key), operator, values)
    return False


def _compared(label: str | None, operator: str, values: Sequence[str]) -> bool:
    try:
        mine, bound = int(label or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return mine > bound if operator == "Gt" else mine < bound
