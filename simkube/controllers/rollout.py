"""The arithmetic of a rollout: how many pods of which replica set there may and must be.

Pure functions over deployments and replica sets. Sources: ``pkg/controller/deployment/util/deployment_util.go``,
``pkg/controller/deployment/sync.go`` (proportional scaling).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from simkube.client.client import Obj

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"


def replicas(obj: Obj) -> int:
    """``spec.replicas`` of a deployment or replica set; 1 when not given."""
    value = obj["spec"].get("replicas")
    return 1 if value is None else int(value)


def total(sets: Iterable[Obj]) -> int:
    """All replicas wanted by these replica sets."""
    return sum(replicas(rs) for rs in sets)


def status_total(sets: Iterable[Obj], field: str) -> int:
    """The sum of one count of their statuses."""
    return sum((rs.get("status") or {}).get(field, 0) for rs in sets)


def active(sets: Iterable[Obj]) -> list[Obj]:
    """Those that want pods."""
    return [rs for rs in sets if replicas(rs) > 0]


def by_age(sets: Iterable[Obj]) -> list[Obj]:
    """Oldest first, then by name."""
    return sorted(sets, key=lambda rs: (rs["metadata"].get("creationTimestamp", ""), rs["metadata"]["name"]))


def is_rolling(deployment: Obj) -> bool:
    """Whether the strategy is RollingUpdate, which is the default."""
    return bool((deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def scaled_value(value: int | str | None, of: int, *, up: bool) -> int:
    """An ``IntOrString``: a number, or a percentage ``of`` something rounded up or down."""
    if isinstance(value, str) and value.endswith("%"):
        share = int(value[:-1]) * of
        return -(-share // 100) if up else share // 100
    return int(value or 0)


def fenceposts(deployment: Obj) -> tuple[int, int]:
    """``(max_surge, max_unavailable)`` as numbers of pods; when both would be 0, one may be unavailable."""
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    wanted = replicas(deployment)
    surge = scaled_value(rolling.get("maxSurge", "25%"), wanted, up=True)
    unavailable = scaled_value(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    return (surge, 1) if surge == 0 and unavailable == 0 else (surge, unavailable)


def max_surge(deployment: Obj) -> int:
    """So many pods above the wanted number may exist; 0 unless rolling."""
    return fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Obj) -> int:
    """So many pods below the wanted number may be available; 0 unless rolling."""
    wanted = replicas(deployment)
    if not is_rolling(deployment) or wanted == 0:
        return 0
    return min(wanted, fenceposts(deployment)[1])


def new_set_size(deployment: Obj, sets: Sequence[Obj], new: Obj | None) -> int:
    """How large the new replica set (0 replicas while it does not exist) may be at once."""
    wanted = replicas(deployment)
    if not is_rolling(deployment):
        return wanted
    has = replicas(new) if new is not None else 0
    room = wanted + max_surge(deployment) - total(sets)
    return has if room <= 0 else has + min(room, wanted - has)


def is_saturated(deployment: Obj, new: Obj | None) -> bool:
    """Whether the new replica set alone has, and has available, all that is wanted."""
    if new is None:
        return False
    wanted = replicas(deployment)
    desired = (new["metadata"].get("annotations") or {}).get(DESIRED)
    available = (new.get("status") or {}).get("availableReplicas", 0)
    return replicas(new) == wanted and desired == str(wanted) and available == wanted


def proportional_sizes(deployment: Obj, sets: Sequence[Obj]) -> list[tuple[Obj, int]]:
    """The new size of each active replica set of a deployment scaled in the middle of a rollout."""
    wanted = replicas(deployment)
    running = active(sets)
    to_add = (wanted + max_surge(deployment) if wanted else 0) - total(running)
    newest_first = to_add > 0
    running.sort(key=lambda rs: rs["metadata"]["name"])
    running.sort(key=lambda rs: rs["metadata"].get("creationTimestamp", ""), reverse=newest_first)
    running.sort(key=replicas, reverse=True)
    sizes: list[tuple[Obj, int]] = []
    added = 0
    for rs in running:
        share = _share(deployment, rs, to_add, added)
        added += share
        sizes.append((rs, replicas(rs) + share))
    if sizes and to_add:
        first, size = sizes[0]
        sizes[0] = (first, max(0, size + to_add - added))
    return sizes


def _share(deployment: Obj, rs: Obj, to_add: int, added: int) -> int:
    if replicas(rs) == 0 or to_add in (0, added):
        return 0
    fraction, allowed = _fraction(deployment, rs), to_add - added
    return min(fraction, allowed) if to_add > 0 else max(fraction, allowed)


def _fraction(deployment: Obj, rs: Obj) -> int:
    wanted = replicas(deployment)
    if wanted == 0:
        return -replicas(rs)
    before = _number((rs["metadata"].get("annotations") or {}).get(MAXIMUM))
    if not before:
        before = (deployment.get("status") or {}).get("replicas", 0)
    if not before:
        return 0
    size = replicas(rs) * (wanted + max_surge(deployment)) / before
    return math.floor(size + 0.5) - replicas(rs)


def _number(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0
