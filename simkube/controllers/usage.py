"""How many replicas the use of a resource calls for.

Pods that are pending, not ready or too young are left out; where it matters, they and pods without a figure are
counted carefully: as using nothing when more replicas are asked for, as using all they may when fewer are. Pure.
Source: ``pkg/controller/podautoscaler/replica_calculator.go``, ``metrics/utilization.go``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simkube.apimachinery import quantity
from simkube.client.client import Obj
from simkube.component_helpers import pods as podstate

INITIALIZATION = 120.0
"""Seconds after its start in which a pod's use of processors may be its start-up (cpu-initialization-period)."""
INITIAL_READINESS = 30.0
"""Seconds in which a pod that gets unready counts as never having been ready (initial-readiness-delay)."""
_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class NoMetric(Exception):
    """A figure that cannot be had; the message is what people are told."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one pod used: milli-units, when it was measured and over how many seconds."""

    value: int
    at: float
    window: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """So many replicas; ``utilization`` in percent of the request (None for a plain value), ``average`` per pod."""

    replicas: int
    utilization: int | None
    average: int


@dataclass(frozen=True, slots=True)
class Target:
    """What is aimed at: a percentage of the request, or else milli-units a pod; and of which resource."""

    resource: str
    percent: int | None
    value: int
    container: str = ""


def read(metrics: Sequence[Obj], resource: str, container: str) -> dict[str, Usage]:
    """``PodMetrics`` as usages by name of pod; a pod that lacks the figure is left out."""
    found: dict[str, Usage] = {}
    for each in metrics:
        usages = {one["name"]: one["usage"].get(resource) for one in each["containers"]}
        name = each["metadata"]["name"]
        if container and container not in usages:
            where = f"{each['metadata'].get('namespace', '')}/{name}"
            raise NoMetric(f"container {container} not present in metrics for pod {where}")
        wanted = [usages[container]] if container else list(usages.values())
        if all(one is not None for one in wanted):
            total = sum(quantity.milli(one) for one in wanted)
            found[name] = Usage(total, podstate.seconds_of(each["timestamp"]), _seconds(each["window"]))
    return found


def _seconds(duration: str) -> float:
    return sum(float(amount) * _UNITS[unit] for amount, unit in re.findall(r"([0-9.]+)(ns|us|ms|s|m|h)", duration))


def propose(
    current: int,
    target: Target,
    pods: Sequence[Obj],
    usages: Mapping[str, Usage],
    *,
    now: float,
    tolerances: tuple[float, float],
) -> Proposal:
    """How many replicas the usages call for; ``tolerances`` are those of growing and of shrinking."""
    if not pods:
        raise NoMetric("no pods returned by selector while calculating replica count")
    ready, ignored, missing = _grouped(pods, usages, target.resource, now)
    values = {name: usage.value for name, usage in usages.items() if name not in ignored}
    requests = _requests(pods, target) if target.percent is not None else {}
    if not values:
        raise NoMetric("did not receive metrics for any ready pods")
    ratio, utilization = _ratio(values, requests, target)
    average = sum(values.values()) // len(values)
    shown = utilization if target.percent is not None else None
    same = Proposal(current, shown, average)
    rebalance = bool(ignored) and ratio > 1.0
    if not rebalance and not missing:
        return same if _small(ratio, tolerances) else Proposal(math.ceil(ratio * ready), shown, average)
    if missing and ratio != 1.0:
        full = requests if target.percent is not None else dict.fromkeys(missing, target.value)
        values.update({name: full.get(name, 0) if ratio < 1.0 else 0 for name in missing})
    if rebalance:
        values.update(dict.fromkeys(ignored, 0))
    again, _ = _ratio(values, requests, target)
    if _small(again, tolerances) or (ratio < 1.0 < again) or (again < 1.0 < ratio):
        return same
    replicas = math.ceil(again * len(values))
    if (again < 1.0 and replicas > current) or (again > 1.0 and replicas < current):
        return same
    return Proposal(replicas, shown, average)


def _small(ratio: float, tolerances: tuple[float, float]) -> bool:
    up, down = tolerances
    return 1.0 - down <= ratio <= 1.0 + up


def _grouped(
    pods: Sequence[Obj], usages: Mapping[str, Usage], resource: str, now: float
) -> tuple[int, set[str], set[str]]:
    """How many are ready, the names of those to leave out, and of those without a figure."""
    ready, ignored, missing = 0, set(), set()
    for pod in pods:
        name, phase = pod["metadata"]["name"], podstate.phase(pod)
        if "deletionTimestamp" in pod["metadata"] or phase == "Failed":
            continue
        if phase == "Pending":
            ignored.add(name)
        elif name not in usages:
            missing.add(name)
        elif resource == "cpu" and _is_starting(pod, usages[name], now):
            ignored.add(name)
        else:
            ready += 1
    return ready, ignored, missing


def _is_starting(pod: Obj, usage: Usage, now: float) -> bool:
    condition = podstate.condition(pod, "Ready")
    start = podstate.seconds_of((pod.get("status") or {}).get("startTime"))
    if condition is None or not start:
        return True
    since = podstate.seconds_of(condition.get("lastTransitionTime"))
    unready = condition["status"] == "False"
    if start + INITIALIZATION > now:
        return unready or usage.at < since + usage.window
    return unready and start + INITIAL_READINESS > since


def _requests(pods: Sequence[Obj], target: Target) -> dict[str, int]:
    found: dict[str, int] = {}
    for pod in pods:
        total = 0
        for each in _counted(pod, target.container):
            amount = (each.get("resources") or {}).get("requests", {}).get(target.resource)
            if amount is None:
                where = f"container {each['name']} of Pod {pod['metadata']['name']}"
                raise NoMetric(f"missing request for {target.resource} in {where}")
            total += quantity.milli(amount)
        found[pod["metadata"]["name"]] = total
    return found


def _counted(pod: Obj, container: str) -> list[dict[str, Any]]:
    """The containers whose requests count: one by name, or all that run all the time."""
    sidecars = [each for each in pod["spec"].get("initContainers") or () if each.get("restartPolicy") == "Always"]
    every = [*pod["spec"].get("containers", ()), *sidecars]
    return [each for each in every if not container or each["name"] == container]


def _ratio(values: Mapping[str, int], requests: Mapping[str, int], target: Target) -> tuple[float, int]:
    """How much of the target is used, and that in percent of the request."""
    total = sum(values.values())
    if target.percent is None:
        return total / len(values) / max(1, target.value), 0
    wanted = sum(requests.get(name, 0) for name in values)
    if not wanted:
        raise NoMetric("no metrics returned matched known pods")
    utilization = total * 100 // wanted
    return utilization / target.percent, utilization
