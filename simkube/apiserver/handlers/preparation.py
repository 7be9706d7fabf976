"""What the server decides about an object's own fields when it is created or changed: status, generation.

After ``pkg/registry/rest`` (BeforeCreate, BeforeUpdate); what differs from kind to kind is in its strategy.
"""

from __future__ import annotations

from simkube.apiserver.registry.strategy import Strategy
from simkube.client.client import Caller, Obj


def prepare_create(strategy: Strategy, obj: Obj, now: str, caller: Caller) -> None:
    """Reset what a client may not set on a new object; changes it in place."""
    if strategy.generation:
        obj["metadata"]["generation"] = 1
    if strategy.drops_status:
        obj.pop("status", None)
    if strategy.first_status is not None:
        status = strategy.first_status
        obj["status"] = {key: dict(value) if isinstance(value, dict) else value for key, value in status.items()}
    strategy.prepare_create(obj, now, caller)


def prepare_update(strategy: Strategy, new: Obj, old: Obj, subresource: str, now: str) -> None:
    """Keep what this request may not change and count the generation; changes ``new`` in place."""
    if subresource == "status":
        _status_only(strategy, new, old)
    elif subresource == "finalize" or strategy.keeps_status:
        _take_back(new, old, "status")
    strategy.prepare_update(new, old, subresource, now)
    if subresource in ("status", "finalize") or not strategy.generation:
        return
    annotated = strategy.counts_annotations and _annotations(new) != _annotations(old)
    if annotated or _desired(new, strategy) != _desired(old, strategy):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def _annotations(obj: Obj) -> Obj:
    found: Obj = obj["metadata"].get("annotations", {})
    return found


def _take_back(new: Obj, old: Obj, name: str) -> None:
    if name in old:
        new[name] = old[name]
    else:
        new.pop(name, None)


def _status_only(strategy: Strategy, new: Obj, old: Obj) -> None:
    for name in {*new, *old} - {"metadata", "status", "kind", "apiVersion"}:
        _take_back(new, old, name)
    if strategy.status_keeps_metadata:
        entries = new["metadata"].get("managedFields")
        new["metadata"] = {key: value for key, value in old["metadata"].items() if key != "managedFields"}
        if entries:
            new["metadata"]["managedFields"] = entries
    if strategy.status_keeps_labels:
        _take_back(new["metadata"], old["metadata"], "labels")
    for name in ("ownerReferences", "finalizers"):
        if strategy.generation:
            _take_back(new["metadata"], old["metadata"], name)


def _desired(obj: Obj, strategy: Strategy) -> Obj:
    beside = {"metadata", "kind", "apiVersion"} | (set() if strategy.counts_status else {"status"})
    return {key: value for key, value in obj.items() if key not in beside}
