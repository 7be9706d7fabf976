"""What the server decides about volumes itself (``pkg/registry/core/persistentvolume/strategy.go``)."""

from __future__ import annotations

from simkube.client.client import Caller, Obj


def new_volume(volume: Obj, now: str, _caller: Caller) -> None:
    """A new volume has been in its phase since now."""
    volume.setdefault("status", {})["lastPhaseTransitionTime"] = now


def changed_volume(new: Obj, old: Obj, _subresource: str, now: str) -> None:
    """When a volume's phase changed last."""
    status, before = new.setdefault("status", {}), old.get("status") or {}
    if status.get("phase") != before.get("phase"):
        status["lastPhaseTransitionTime"] = now
    elif "lastPhaseTransitionTime" in before:
        status.setdefault("lastPhaseTransitionTime", before["lastPhaseTransitionTime"])
