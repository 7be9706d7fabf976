"""Kinds that are shown in more than one version: events under their two names, autoscalers old and new.

``events.k8s.io/v1`` is a view of the core events that are stored (``pkg/apis/events/v1/conversion.go``); autoscalers
are the work of :mod:`~simkube.apiserver.registry.autoscaling.conversion`, custom kinds that of whom their definition
names. It refuses every other conversion: all other kinds have one version.
"""

from __future__ import annotations

from collections.abc import Sequence

from simkube.apiserver.registry.autoscaling import conversion as autoscaler_versions
from simkube.apiserver.registry.resources import Resource
from simkube.client.client import Obj

_NAMES = (
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("reportingController", "reportingComponent"),
)
_OMITTED = frozenset({"reportingComponent", "reportingInstance"})
_TO_CORE = dict(_NAMES)
_FROM_CORE = {core: new for new, core in _NAMES}


def stored(resource: Resource, obj: Obj) -> Obj:
    """An object of ``resource`` as it is stored."""
    if resource.custom is not None:
        return resource.custom.stored(obj)
    if not resource.stored_as:
        return obj
    if resource.group == "autoscaling":
        return autoscaler_versions.to_v2(obj)
    return {**{_TO_CORE.get(key, key): value for key, value in obj.items()}, "apiVersion": "v1", "kind": "Event"}


def worked(resource: Resource, obj: Obj) -> Obj:
    """A stored object as the request path works on it."""
    custom = resource.custom
    return obj if custom is None or custom.converter is None else custom.shown(obj)


def kept(resource: Resource, obj: Obj) -> Obj:
    """What is stored of an object that the request path has worked on."""
    return obj if resource.custom is None else resource.custom.kept(obj)


def shown_all(resource: Resource, found: Sequence[Obj]) -> list[Obj]:
    """Stored objects as ``resource`` shows them."""
    return [shown(resource, obj) for obj in found] if resource.custom is None else resource.custom.shown_all(found)


def shown(resource: Resource, obj: Obj) -> Obj:
    """A stored object as ``resource`` shows it."""
    if resource.custom is not None:
        return resource.custom.shown(obj)
    if not resource.stored_as:
        return obj
    if resource.group == "autoscaling":
        return autoscaler_versions.to_v1(obj)
    made = {_FROM_CORE.get(key, key): value for key, value in obj.items() if value != "" or key not in _OMITTED}
    return {**made, "apiVersion": resource.api_version, "kind": resource.kind}
