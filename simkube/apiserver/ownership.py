"""Who owns which field: keeps ``metadata.managedFields`` current at every write but an apply.

The work itself is :mod:`simkube.apiserver.managed_fields`; this says what a request means for it.
"""

from __future__ import annotations

from simkube.apiserver import conversion, managed_fields
from simkube.apiserver.request import Request
from simkube.client import Obj


def record(request: Request, old: Obj | None, new: Obj, now: str, applied: Obj | None) -> None:
    """Write the managed fields of ``new`` (changed in place); those of ``applied`` when the request is an apply."""
    entries = applied["metadata"].get("managedFields") if applied is not None else None
    if applied is None:
        resource = request.resource
        before = None if old is None else conversion.shown(resource, old)
        after = conversion.shown(resource, new)
        if resource.storage == "events":  # a time of an event that is null belongs to nobody
            before, after = _without_nulls(before), _without_nulls(after) or after
        if request.subresource == "scale" and not after["spec"].get("replicas"):
            after = _without_replicas(after)
        time = "" if request.subresource == "scale" else now  # the real server notes no time for a scale
        subresource = request.subresource
        if after.get("rules", ()) is None:  # a role without rules owns them all the same
            after = {**after, "rules": []}
        made = managed_fields.update(
            before, after, resource.gvk, request.manager, "Update", subresource, time, resource.custom
        )
        entries = made["metadata"].get("managedFields")
    if entries:
        new["metadata"]["managedFields"] = entries
    else:
        new["metadata"].pop("managedFields", None)
    if old is not None and managed_fields.only_times_differ(old, new):
        new["metadata"]["managedFields"] = old["metadata"].get("managedFields", [])


def _without_replicas(obj: Obj) -> Obj:
    """A Scale does not write a zero, so nobody comes to own it."""
    return {**obj, "spec": {key: value for key, value in obj["spec"].items() if key != "replicas"}}


def _without_nulls(obj: Obj | None) -> Obj | None:
    return None if obj is None else {key: value for key, value in obj.items() if value is not None}
