"""Defaults of requests for certificates."""

from __future__ import annotations

from simkube.client.client import Obj


def signing_request(obj: Obj) -> None:
    """The fields that are always shown; conditions are true unless they say otherwise."""
    obj.setdefault("spec", {})
    status = obj.setdefault("status", {})
    for condition in status.get("conditions") or ():
        condition.setdefault("status", "True")
