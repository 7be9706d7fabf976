"""Which pods go first when there are too many.

Not yet bound before bound, pending before running, not ready before ready, lower deletion cost, most crowded node, most
recently ready (by orders of magnitude, so that not always the youngest node is emptied), more restarts, youngest.

Source: ``ActivePodsWithRanks`` in ``pkg/controller/controller_utils.go``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from simkube.client.client import Obj
from simkube.component_helpers.pods import is_active, is_ready, phase, ready_since, seconds_of

_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def to_delete(pods: Sequence[Obj], related: Iterable[Obj], count: int, now: float) -> list[Obj]:
    """``count`` of ``pods`` in the order of deletion; ``related`` are all pods of the same application."""
    if count >= len(pods):
        return list(pods)
    crowd = Counter(pod["spec"].get("nodeName", "") for pod in related if is_active(pod))
    return sorted(pods, key=lambda pod: _rank(pod, crowd, now))[:count]


def _rank(pod: Obj, crowd: Counter[str], now: float) -> tuple[Any, ...]:
    node = pod["spec"].get("nodeName", "")
    ready = is_ready(pod)
    return (
        bool(node),
        _PHASES.get(phase(pod), 2),
        ready,
        _cost(pod),
        -crowd[node],
        _magnitude(now - ready_since(pod)) if ready else 0,
        -_restarts(pod),
        _magnitude(now - seconds_of(pod["metadata"].get("creationTimestamp"))),
        pod["metadata"].get("uid", ""),
    )


def _cost(pod: Obj) -> int:
    try:
        return int((pod["metadata"].get("annotations") or {}).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _restarts(pod: Obj) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((status.get("restartCount", 0) for status in statuses), default=0)


def _magnitude(seconds: float) -> int:
    return int(math.log2(seconds)) if seconds >= 1 else -1
