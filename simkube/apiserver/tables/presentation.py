"""Times as whoever looks at them counts: shown by kubectl, they are told by the wall clock.

kubectl reckons the ages of ``describe`` and ``events`` with its own machine's clock. A cluster whose clock was moved
answers the commands that only show things with every time that it wrote moved back (or forward) by as much, so that the
cluster's present moment is the client's; ``Kubectl-Command``, which kubectl sends, says which command asks. What the
objects hold stays as it is, and every other client gets it as it is: what is read to be written again is never moved.

It refuses to touch what others wrote: specs, annotations, and the status of custom resources have the times of their
authors. The decision and its alternatives are in ``docs/decisions``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, overload

from simkube.client.client import Obj

COMMAND = "Kubectl-Command"
SHOWING = frozenset({"kubectl get", "kubectl describe", "kubectl events", "kubectl logs", "kubectl cluster-info"})
"""Commands whose answers are shown and not written back (SIG CLI's headers, ``cli-runtime/pkg/genericclioptions``)."""
LEAST = 1.0
"""Seconds that are too few to be moved by."""
_NAMES = frozenset(
    {
        "acquireTime",
        "completionTime",
        "creationTimestamp",
        "deletionTimestamp",
        "deprecatedFirstTimestamp",
        "deprecatedLastTimestamp",
        "eventTime",
        "finishedAt",
        "firstTimestamp",
        "lastHeartbeatTime",
        "lastObservedTime",
        "lastProbeTime",
        "lastScaleTime",
        "lastScheduleTime",
        "lastSuccessfulTime",
        "lastTimestamp",
        "lastTransitionTime",
        "lastUpdateTime",
        "renewTime",
        "startTime",
        "startedAt",
        "time",
        "timestamp",
    }
)
_WHOLE = frozenset({"Event", "Lease", "NodeMetrics", "PodMetrics"})
"""Kinds that hold times outside of their metadata and status."""
_NODE_LEASES = "kube-node-lease"
_OTHERS = frozenset({"annotations", "labels"})
_EPOCH = "1970-01-01T00:00:00Z"


class Clock(Protocol):
    """Cluster time and wall time, in seconds since the epoch."""

    def now(self) -> float: ...

    def wall(self) -> float: ...


def shift(headers: Mapping[str, str], clock: Clock) -> float:
    """Seconds that times are moved by for whoever sent these headers: 0.0 where they are not."""
    if headers.get(COMMAND) not in SHOWING:
        return 0.0
    ahead = clock.now() - clock.wall()
    return 0.0 if abs(ahead) < LEAST else -ahead


def shown(obj: Obj, seconds: float, *, custom: bool = False) -> Obj:
    """The object with the cluster's times moved; itself when ``seconds`` is 0."""
    if not seconds:
        return obj
    if not custom and _is_wholly_the_clusters(obj):
        found: Obj = _moved(obj, seconds)
        return found
    parts = ("metadata",) if custom else ("metadata", "status")
    return {**obj, **{part: _moved(obj[part], seconds) for part in parts if part in obj}}


def _is_wholly_the_clusters(obj: Obj) -> bool:
    """Whether times outside of metadata and status are the cluster's; most leases are renewed by others."""
    kind, namespace = obj.get("kind"), (obj.get("metadata") or {}).get("namespace")
    return kind in _WHOLE and (kind != "Lease" or namespace == _NODE_LEASES)


class Shown(Sequence[Obj]):
    """Objects of a list, moved as they are asked for."""

    def __init__(self, items: Sequence[Obj], seconds: float, *, custom: bool) -> None:
        self._items, self._seconds, self._custom = items, seconds, custom

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Obj: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Obj]: ...

    def __getitem__(self, index: int | slice) -> Obj | Sequence[Obj]:
        if isinstance(index, slice):
            return [shown(item, self._seconds, custom=self._custom) for item in self._items[index]]
        return shown(self._items[index], self._seconds, custom=self._custom)


def _moved(value: Any, seconds: float, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: each if key in _OTHERS else _moved(each, seconds, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_moved(each, seconds, name) for each in value]
    return moved(value, seconds) if name in _NAMES and isinstance(value, str) else value


def moved(stamp: str, seconds: float) -> str:
    """A time of the API some seconds later, in its own form; what is no time, and "never", stay as they are."""
    if stamp == _EPOCH:
        return stamp
    try:
        later = datetime.fromisoformat(stamp).astimezone(UTC) + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        return stamp
    return later.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if "." in stamp else "%Y-%m-%dT%H:%M:%SZ")
