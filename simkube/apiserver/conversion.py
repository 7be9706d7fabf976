"""Events under their two names: ``events.k8s.io/v1`` is a view of the core events that are stored.

After ``pkg/apis/events/v1/conversion.go``. It refuses every other conversion: each kind here has one version.
"""

from __future__ import annotations

from simkube.apiserver.resources import Resource
from simkube.client import Obj

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
    if not resource.stored_as:
        return obj
    return {**{_TO_CORE.get(key, key): value for key, value in obj.items()}, "apiVersion": "v1", "kind": "Event"}


def shown(resource: Resource, obj: Obj) -> Obj:
    """A stored object as ``resource`` shows it."""
    if not resource.stored_as:
        return obj
    made = {_FROM_CORE.get(key, key): value for key, value in obj.items() if value != "" or key not in _OMITTED}
    return {**made, "apiVersion": resource.api_version, "kind": resource.kind}
