"""Which pod is placed next: the most important of those that wait, of equals the one that came first.

And of a pod that fitted nowhere: which plugins refused it, and when it may be tried again. Source:
``pkg/scheduler/backend/queue``.
"""

from __future__ import annotations

import heapq
import itertools

from simkube.client import Key, Obj

FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 10.0


class Waiting:
    """A pod that fitted nowhere: which plugins refused it, how often it was tried, when last."""

    __slots__ = ("at", "attempts", "plugins")

    def __init__(self, plugins: set[str], attempts: int, at: float) -> None:
        self.plugins = plugins
        self.attempts = attempts
        self.at = at

    def backoff_ends(self) -> float:
        """When it may be tried again."""
        return self.at + min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(self.attempts - 1, 8))


class Active:
    """The pods that are to be placed now."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Key]] = []
        self._keys: set[Key] = set()
        self._order = itertools.count()

    def add(self, key: Key, priority: int) -> None:
        """A no-op for one that is there."""
        if key not in self._keys:
            self._keys.add(key)
            heapq.heappush(self._heap, (-priority, next(self._order), key))

    def pop(self) -> Key | None:
        """The next one, which is taken out; None when there is none."""
        while self._heap:
            key = heapq.heappop(self._heap)[2]
            if key in self._keys:
                self._keys.discard(key)
                return key
        return None

    def discard(self, key: Key) -> None:
        """It is to be placed no more."""
        self._keys.discard(key)


_EVERYTHING = frozenset({"*"})
_NODE_PARTS = (
    ("taints", frozenset({"TaintToleration"})),
    ("unschedulable", frozenset({"NodeUnschedulable", "TaintToleration"})),
)
_BY_LABELS = frozenset({"NodeAffinity", "PodTopologySpread", "InterPodAffinity", "VolumeBinding", "VolumeZone"})
_BY_RESOURCES = frozenset({"NodeResourcesFit"})


def node_change(old: Obj | None, new: Obj) -> frozenset[str]:
    """The plugins that may answer differently after a change of a node; ``*`` for all."""
    if old is None:
        return _EVERYTHING
    found: frozenset[str] = frozenset()
    for part, plugins in _NODE_PARTS:
        if old["spec"].get(part) != new["spec"].get(part):
            found |= plugins
    if old["metadata"].get("labels") != new["metadata"].get("labels"):
        found |= _BY_LABELS
    if (old.get("status") or {}).get("allocatable") != (new.get("status") or {}).get("allocatable"):
        found |= _BY_RESOURCES
    return found


WITHOUT_POD = frozenset(
    {
        "NodeResourcesFit",
        "NodePorts",
        "InterPodAffinity",
        "PodTopologySpread",
        "VolumeRestrictions",
        "NodeVolumeLimits",
    }
)
"""The plugins that may answer differently once a pod is gone from a node."""
WITH_POD = frozenset({"InterPodAffinity", "PodTopologySpread"})
"""The plugins that may answer differently once a pod is on a node, or bears other labels."""
