"""JSON of which nothing is known: read as the shape that was meant, and as empty where it has another.

An API server keeps to its schema; whoever answers in its place need not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Fields = Mapping[str, Any]


def fields(value: object) -> Fields:
    """An object; empty for anything else."""
    return value if isinstance(value, Mapping) else {}


def rows(value: object) -> list[dict[str, Any]]:
    """The objects of a list; none for anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def whole(value: object) -> int:
    """A whole number; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def objects(answer: Fields) -> list[dict[str, Any]]:
    """The Kubernetes objects of a listing; what has no name is none."""
    return [one for one in rows(answer.get("items")) if isinstance(fields(one.get("metadata")).get("name"), str)]
