"""Ending pods for what they take of the node: memory when there is too little of it, files beyond their limits.

Memory below the threshold makes the node say so (MemoryPressure, which others turn into a taint) and costs one pod at a
time, the one furthest beyond its requests and least important first; the condition stays for a while after the last
shortage. Nothing is looked at unless memory is taken, or a limited volume grows. After ``pkg/kubelet/eviction``, with
its defaults; soft thresholds, disks, inodes and process numbers have none here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from simkube.apimachinery.quantity import milli
from simkube.clock.clock import Clock
from simkube.kubelet.pod import Pod
from simkube.kubelet.pod_admission import critical
from simkube.kubelet.resources import amount
from simkube.kubelet.volumes import Part
from simkube.runtime.usage import Memory

THRESHOLD = 100 << 20
"""``evictionHard`` ``memory.available``, in bytes."""
INTERVAL = 10.0
"""Seconds until the eviction manager looks (again)."""
TRANSITION = 300.0
"""``evictionPressureTransitionPeriod``: seconds until a node without shortage says so."""


class Victim(Protocol):
    """A pod worker."""

    pod: Pod

    def evict(self, message: str) -> None:
        """End the pod at once and report it as evicted."""


class MemoryPressure:
    """The node's view of its memory. ``look_later(seconds)`` has :meth:`synchronize` called; the latest call counts."""

    def __init__(
        self,
        clock: Clock,
        memory: Memory,
        look_later: Callable[[float], None],
        victims: Callable[[], Iterable[Victim]],
        complain: Callable[[str, str], None],
    ) -> None:
        self.pressed = False
        self._clock = clock
        self._memory = memory
        self._look_later = look_later
        self._victims = victims
        self._complain = complain
        self._planned = False
        self._observed = 0.0

    def begin(self) -> None:
        """Be told of shortages from now on."""
        self._memory.mark = THRESHOLD
        self._memory.scarce = self._scarce
        if self.pressed or self._memory.available < THRESHOLD:
            self._plan(0.0)

    def end(self) -> None:
        """Hear nothing more."""
        self._memory.mark = 0
        self._planned = False

    def _scarce(self) -> None:
        if not self._planned:
            self._plan(INTERVAL)

    def _plan(self, seconds: float) -> None:
        self._planned = True
        self._look_later(seconds)

    def synchronize(self) -> bool:
        """Look once, and end one pod if that is needed; whether the node's condition changed."""
        self._planned = False
        now, before = self._clock.now(), self.pressed
        short = self._memory.available < THRESHOLD
        if short:
            self._observed = now
            self.pressed = True
            self._complain("EvictionThresholdMet", "Attempting to reclaim memory")
            self._evict_one()
            self._plan(INTERVAL)
        elif self.pressed and now - self._observed < TRANSITION:
            self._plan(self._observed + TRANSITION - now)
        else:
            self.pressed = False
        return before != self.pressed

    def _evict_one(self) -> None:
        able = [one for one in self._victims() if not one.pod.over and not one.pod.terminating and _may_go(one.pod)]
        if able:
            worst = max(able, key=lambda one: _rank(one.pod))
            worst.evict(memory_message(worst.pod, self._memory.available))


def _may_go(pod: Pod) -> bool:
    return pod.sandbox is not None and not critical(pod)


def used_memory(pod: Pod) -> dict[str, int]:
    """Bytes by running container."""
    return {
        run.name: run.container.working_set for run in pod.runs.values() if run.running and run.container is not None
    }


def _requested(pod: Pod) -> int:
    return sum(amount(one, "requests", "memory") or 0 for one in pod.spec["containers"]) // 1000


def _rank(pod: Pod) -> tuple[bool, int, int]:
    """The highest goes first: beyond its requests, then of low priority, then by how far beyond."""
    excess = sum(used_memory(pod).values()) - _requested(pod)
    return excess > 0, -int(pod.spec.get("priority") or 0), excess


def memory_message(pod: Pod, available: int) -> str:
    """Why the pod was evicted, as the eviction manager says it."""
    text = (
        f"The node was low on resource: memory. Threshold quantity: {_shown(THRESHOLD)}, "
        f"available: {_shown(max(0, available))}. "
    )
    specs = {one["name"]: one for one in pod.spec["containers"]}
    for name, size in used_memory(pod).items():
        request = (amount(specs.get(name, {}), "requests", "memory") or 0) // 1000
        if size > request:
            text += (
                f"Container {name} was using {_shown(size)}, request is {_shown(request)}, "
                "has larger consumption of memory. "
            )
    return text


def _shown(size: int) -> str:
    for suffix, factor in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if size and size % factor == 0:
            return f"{size // factor}{suffix}"
    return f"{size // 1024}Ki" if size >= 1024 else str(size)


def storage_excess(pod: Pod) -> str:
    """Why a pod must go for the files it wrote; "" when it need not (``localStorageEviction``)."""
    return _volume_excess(pod) or _pod_excess(pod) or _container_excess(pod)


def _volume_excess(pod: Pod) -> str:
    for volume in pod.spec.get("volumes") or []:
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if limit is not None and _size(pod, volume["name"]) > milli(limit) // 1000 > 0:
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
    return ""


def _size(pod: Pod, name: str) -> int:
    """Bytes in an emptyDir."""
    held = pod.volumes.get(name)
    return 0 if held is None or isinstance(held, Part) else held.size


def _written(pod: Pod) -> dict[str, int]:
    return {run.name: run.container.written for run in pod.runs.values() if run.container is not None}


def _pod_excess(pod: Pod) -> str:
    limits = [amount(one, "limits", "ephemeral-storage") for one in pod.spec["containers"]]
    if not limits or None in limits:
        return ""
    most = sum(one or 0 for one in limits) // 1000
    volumes = [one for one in pod.spec.get("volumes") or [] if one.get("emptyDir") is not None]
    held = sum(_size(pod, one["name"]) for one in volumes if not one["emptyDir"].get("medium"))
    if sum(_written(pod).values()) + held > most:
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {_shown(most)}. "
    return ""


def _container_excess(pod: Pod) -> str:
    written = _written(pod)
    for container in pod.spec["containers"]:
        limit = amount(container, "limits", "ephemeral-storage")
        if limit is not None and written.get(container["name"], 0) > limit // 1000:
            text = container["resources"]["limits"]["ephemeral-storage"]
            return f'Container {container["name"]} exceeded its local ephemeral storage limit "{text}". '
    return ""


def watches_storage(pod: Pod) -> bool:
    """Whether anything the pod writes is limited."""
    limited = any(amount(one, "limits", "ephemeral-storage") is not None for one in pod.spec["containers"])
    return limited or any((one.get("emptyDir") or {}).get("sizeLimit") for one in pod.spec.get("volumes") or [])
