"""What controllers ask of a pod: is it active, ready, available, on its way out.

Sources: ``pkg/api/v1/pod/util.go``, ``pkg/controller/controller_utils.go``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from simkube.client.client import Obj

FINISHED = ("Succeeded", "Failed")


def seconds_of(stamp: str | None) -> float:
    """A ``metav1.Time`` or ``MicroTime`` as seconds since the epoch; 0.0 for none or nonsense."""
    try:
        return datetime.fromisoformat(stamp).astimezone(UTC).timestamp() if stamp else 0.0
    except ValueError:
        return 0.0


def phase(pod: Obj) -> str:
    """``Pending``, ``Running``, ``Succeeded``, ``Failed`` or ``Unknown``."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def condition(obj: Obj, type: str) -> Obj | None:
    """The condition of that type in an object's status, or None."""
    for each in (obj.get("status") or {}).get("conditions") or ():
        if each.get("type") == type:
            found: Obj = each
            return found
    return None


def is_terminating(pod: Obj) -> bool:
    """Deleted, but still there and not finished."""
    return "deletionTimestamp" in pod["metadata"] and phase(pod) not in FINISHED


def is_active(pod: Obj) -> bool:
    """Counts as a replica: neither finished nor deleted."""
    return "deletionTimestamp" not in pod["metadata"] and phase(pod) not in FINISHED


def is_ready(pod: Obj) -> bool:
    """Whether its Ready condition is True."""
    ready = condition(pod, "Ready")
    return ready is not None and ready.get("status") == "True"


def ready_since(pod: Obj) -> float:
    """Since when it has been ready, in seconds since the epoch; 0.0 when it is not."""
    ready = condition(pod, "Ready")
    return seconds_of(ready.get("lastTransitionTime")) if ready and ready.get("status") == "True" else 0.0


def is_available(pod: Obj, min_ready_seconds: int, now: float) -> bool:
    """Ready for at least ``min_ready_seconds``."""
    if not is_ready(pod):
        return False
    since = ready_since(pod)
    return min_ready_seconds == 0 or (since > 0 and since + min_ready_seconds <= now)
