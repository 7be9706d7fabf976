"""Pods through their subresources: what a request to change a part of a pod leaves of the rest.

After ``dropNonEphemeralContainerUpdates`` and ``dropNonResizeUpdates``: everything else a client sends is dropped, not
refused.
"""

from __future__ import annotations

from simkube.client.client import Obj

PARTS = frozenset({"ephemeralcontainers", "resize"})


def only_part(new: Obj, old: Obj, subresource: str) -> None:
    """Leave of ``new`` (changed in place) what the subresource may change, and of ``old`` the rest."""
    meta, spec = new["metadata"], new["spec"]
    kept = {key: value for key, value in old["metadata"].items() if key != "managedFields"}
    if "managedFields" in meta:
        kept["managedFields"] = meta["managedFields"]
    changed = {**old["spec"]}
    if subresource == "ephemeralcontainers":
        changed.pop("ephemeralContainers", None)
        if spec.get("ephemeralContainers"):
            changed["ephemeralContainers"] = spec["ephemeralContainers"]
    else:
        for name in ("containers", "initContainers"):
            if name in changed:
                changed[name] = _resized(changed[name], spec.get(name, []))
    new["metadata"], new["spec"] = kept, changed


def _resized(before: list[Obj], now: list[Obj]) -> list[Obj]:
    wanted = {each.get("name"): each for each in now}
    made = []
    for container in before:
        changed = wanted.get(container["name"], container)
        one = {key: value for key, value in container.items() if key not in ("resources", "resizePolicy")}
        made.append(one | {key: changed[key] for key in ("resources", "resizePolicy") if key in changed})
    return made
