"""Selectors, tolerations and quantities, as objects carry them."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.apimachinery.labels import matches, matches_node, matches_set
from simkube.apimachinery.quantity import milli
from simkube.component_helpers.tolerations import tolerates

LABELS = {"app": "web", "tier": "front", "size": "5"}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "db"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["x"]}]}, True),
        ({"matchExpressions": [{"key": "zone", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]}, True),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "zone", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Near"}]}, False),
    ],
)
def test_label_selectors(selector: dict[str, Any] | None, expected: bool) -> None:
    assert matches(selector, LABELS) is expected


def test_an_empty_set_of_labels_matches_all() -> None:
    assert matches_set(None, LABELS)
    assert matches_set({"app": "web", "tier": "front"}, LABELS)
    assert not matches_set({"app": "web", "zone": "x"}, LABELS)


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ({}, False),
        ({"matchExpressions": [{"key": "size", "operator": "Gt", "values": ["4"]}]}, True),
        ({"matchExpressions": [{"key": "size", "operator": "Lt", "values": ["5"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Gt", "values": ["4"]}]}, False),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["one"]}]}, True),
    ],
)
def test_node_selectors(term: dict[str, Any], expected: bool) -> None:
    assert matches_node({"nodeSelectorTerms": [term]}, LABELS, "one") is expected


TAINT = {"key": "k", "value": "v", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "w"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({}, False),
    ],
)
def test_tolerations(toleration: dict[str, Any], expected: bool) -> None:
    assert tolerates(toleration, TAINT) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500m", 500), ("2", 2000), ("1.5", 1500), ("1Ki", 1_024_000), ("2e3", 2_000_000), ("1E", 10**21), ("1u", 1)],
)
def test_quantities(text: str, expected: int) -> None:
    assert milli(text) == expected


@pytest.mark.parametrize("text", ["", "abc", "1 Gi", "1GiB", "1e9999"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match=r"quantities must match|unable to parse quantity"):
        milli(text)
