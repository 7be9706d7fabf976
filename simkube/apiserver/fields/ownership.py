"""Who owns which field: keeps ``metadata.managedFields`` current at every write but an apply.

The work itself is :mod:`simkube.apiserver.fields.managed_fields`; this says what a request means for it.
"""

from __future__ import annotations

from collections.abc import Hashable

from simkube.apiserver.fields import managed_fields
from simkube.apiserver.registry import conversion
from simkube.apiserver.registry.request import Request
from simkube.client.client import Obj


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
        shape = _shape_of_event(request, after) if before is None and resource.storage == "events" else None
        if shape in _EVENTS:
            entries = [{**_EVENTS[shape], "time": time}]
        else:
            made = managed_fields.update(
                before, after, resource.gvk, request.manager, "Update", subresource, time, resource.custom
            )
            entries = made["metadata"].get("managedFields")
            if shape is not None and entries and len(entries) == 1 and len(_EVENTS) < _MOST_SHAPES:
                _EVENTS[shape] = entries[0]
    if entries:
        new["metadata"]["managedFields"] = entries
    else:
        new["metadata"].pop("managedFields", None)
    if old is not None and managed_fields.only_times_differ(old, new):
        new["metadata"]["managedFields"] = old["metadata"].get("managedFields", [])


_EVENTS: dict[Hashable, Obj] = {}
"""The one entry of a new event, by who writes which fields: most writes of a busy cluster are events of few shapes."""
_MOST_SHAPES = 256


def _shape_of_event(request: Request, event: Obj) -> Hashable | None:
    """Everything that the owner of a new event's fields depends on; None when that is more than names of fields."""
    if "managedFields" in event["metadata"]:
        return None
    fields = _shape(event)
    return None if fields is None else (request.resource.qualified, request.manager, request.subresource, fields)


def _shape(value: Obj) -> Hashable | None:
    found: list[Hashable] = []
    for key, item in value.items():
        if isinstance(item, list):
            return None
        below = _shape(item) if isinstance(item, dict) else ()
        if below is None:
            return None
        found.append((key, item is None, isinstance(item, dict), below))
    return tuple(found)


def _without_replicas(obj: Obj) -> Obj:
    """A Scale does not write a zero, so nobody comes to own it."""
    return {**obj, "spec": {key: value for key, value in obj["spec"].items() if key != "replicas"}}


def _without_nulls(obj: Obj | None) -> Obj | None:
    return None if obj is None else {key: value for key, value in obj.items() if value is not None}
