"""Pieces that cells of several kinds are made of: labels, selectors, lists cut short, containers."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.tables.ages import age

Obj = dict[str, Any]

NONE = "<none>"
_MOST = 3


def name_of(obj: Obj) -> str:
    """The object's name."""
    return str(obj.get("metadata", {}).get("name", ""))


def age_of(obj: Obj, now: float) -> str:
    """How long ago the object was created."""
    return age(obj.get("metadata", {}).get("creationTimestamp"), now)


def labels(given: dict[str, str] | None) -> str:
    """Labels sorted by key: ``app=web,tier=front``."""
    return ",".join(f"{key}={value}" for key, value in sorted((given or {}).items())) or NONE


def selector(given: Obj | None) -> str:
    """A ``LabelSelector`` as a query: ``app=web,tier in (back,front)``."""
    if not given:
        return NONE
    parts = [(key, f"{key}={value}") for key, value in (given.get("matchLabels") or {}).items()]
    parts += [(one.get("key", ""), _requirement(one)) for one in given.get("matchExpressions") or []]
    return ",".join(text for _, text in sorted(parts)) or NONE


def _requirement(one: Obj) -> str:
    key, operator, values = one.get("key", ""), one.get("operator"), ",".join(sorted(one.get("values") or []))
    if operator == "Exists":
        return str(key)
    if operator == "DoesNotExist":
        return f"!{key}"
    return f"{key} {'in' if operator == 'In' else 'notin'} ({values})"


def shortened(items: list[str], empty: str) -> str:
    """The first three, and how many more there are."""
    shown = ",".join(items[:_MOST])
    if len(items) > _MOST:
        return f"{shown} + {len(items) - _MOST} more..."
    return shown or empty


def containers(spec: Obj) -> tuple[str, str]:
    """The names and the images of a pod spec's containers."""
    found = spec.get("containers") or []
    return ",".join(one.get("name", "") for one in found), ",".join(one.get("image", "") for one in found)


def host_port(address: str, port: Any) -> str:
    """``10.0.0.1:80``, ``[::1]:80``."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
