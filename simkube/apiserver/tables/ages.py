"""How long ago something was, as kubectl shows it: ``42s``, ``5m10s``, ``3d4h`` (``duration.HumanDuration``)."""

from __future__ import annotations

from datetime import datetime

UNKNOWN = "<unknown>"
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400


def age(timestamp: str | None, now: float) -> str:
    """The time since a ``metav1.Time`` (seconds since the epoch at ``now``); ``<unknown>`` when there is none."""
    if not timestamp:
        return UNKNOWN
    return human(now - seconds(timestamp))


def seconds(timestamp: str) -> float:
    """A Kubernetes timestamp in seconds since the epoch."""
    return datetime.fromisoformat(timestamp).timestamp()


def human(duration: float) -> str:
    """A duration in seconds in at most two units; ``<invalid>`` when it lies in the future."""
    passed = int(duration)
    if passed < 0:
        return "<invalid>" if passed < -1 else "0s"
    if passed < 2 * _MINUTE:
        return f"{passed}s"
    if passed < 10 * _MINUTE:
        return _two(passed, _MINUTE, "m", 1, "s")
    if passed < 3 * _HOUR:
        return f"{passed // _MINUTE}m"
    if passed < 8 * _HOUR:
        return _two(passed, _HOUR, "h", _MINUTE, "m")
    if passed < 2 * _DAY:
        return f"{passed // _HOUR}h"
    if passed < 8 * _DAY:
        return _two(passed, _DAY, "d", _HOUR, "h")
    if passed < 2 * _YEAR:
        return f"{passed // _DAY}d"
    return _two(passed, _YEAR, "y", _DAY, "d") if passed < 8 * _YEAR else f"{passed // _YEAR}y"


def _two(passed: int, large: int, large_name: str, small: int, small_name: str) -> str:
    rest = passed % large // small
    return f"{passed // large}{large_name}" + (f"{rest}{small_name}" if rest else "")
