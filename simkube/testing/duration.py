"""Durations as tests write them."""

from __future__ import annotations

from datetime import timedelta

from simkube.cluster import topology

Duration = float | str | timedelta
"""Seconds, ``"1m30s"`` as Go writes it, or a timedelta."""


def seconds(duration: Duration) -> float:
    """A duration in seconds; ``ValueError`` for one that is none or negative."""
    if isinstance(duration, timedelta):
        found = duration.total_seconds()
    elif isinstance(duration, str):
        found = topology.seconds(duration, "a duration")
    else:
        found = float(duration)
    if not 0 <= found < float("inf"):
        raise ValueError(f"a duration is not negative and has an end, unlike {duration!r}")
    return found
