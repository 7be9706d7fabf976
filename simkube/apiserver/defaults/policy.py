"""Defaults of limit ranges, quotas and certificate signing requests (``pkg/apis/*/v1/defaults.go``)."""

from __future__ import annotations

from simkube.client import Obj


def limit_range(obj: Obj) -> None:
    """A container's default limit is the most it may have; its default request is that limit, else the least."""
    for item in obj.setdefault("spec", {}).get("limits") or ():
        if item.get("type") != "Container":
            continue
        for field, source in (("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")):
            values = {**(item.get(source) or {}), **(item.get(field) or {})}
            if values:
                item[field] = values


def resource_quota(obj: Obj) -> None:
    """The fields that are always shown."""
    obj.setdefault("spec", {})
    obj.setdefault("status", {})


def signing_request(obj: Obj) -> None:
    """The fields that are always shown; conditions are true unless they say otherwise."""
    obj.setdefault("spec", {})
    status = obj.setdefault("status", {})
    for condition in status.get("conditions") or ():
        condition.setdefault("status", "True")
