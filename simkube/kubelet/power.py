"""Whether a node is on, off or paused: kept beside the objects, where killing the host does not change it."""

from __future__ import annotations

from typing import Protocol

from simkube.kubelet.checkpoint import SideStore
from simkube.runtime.cri import Runtime
from simkube.runtime.machine import Machine
from simkube.runtime.usage import Sample

ON, OFF, PAUSED = "on", "off", "paused"


class NodeRuntime(Runtime, Protocol):
    """The runtime of a node that can be switched off."""

    machine: Machine

    def power_off(self) -> None:
        """Every container dies, nothing answers."""

    def power_on(self) -> None:
        """It answers again; nothing runs on it."""

    def pause(self) -> None:
        """Freeze everything; nothing answers."""

    def resume(self) -> None:
        """The end of :meth:`pause`."""

    def fill_memory(self, size: int) -> int:
        """Have a process outside all pods take the node's memory: so many bytes, or (0) all but little of what is free.

        Answers how many it took.
        """

    def relieve_memory(self) -> None:
        """The end of :meth:`fill_memory`."""

    def node_sample(self) -> Sample | None:
        """What the whole node used when the metrics server last looked; None when it is just up."""

    def node_cpu_seconds(self) -> float:
        """Processor time that the whole node has used since it was switched on."""


class Power:
    """The power of a node, brought to its ``runtime``; ``since`` is when it was lost in cluster seconds (0: never)."""

    def __init__(self, side: SideStore, node: str, runtime: NodeRuntime) -> None:
        self._side = side
        self._key = f"power/{node}"
        self._runtime = runtime
        kept = side.get(self._key) or {"state": ON, "since": 0.0}
        self.state: str = kept["state"]
        self.since: float = kept["since"]
        self._apply()

    @property
    def on(self) -> bool:
        """Whether the node runs."""
        return self.state == ON

    def switch_off(self, since: float) -> None:
        """Everything that runs on the node dies."""
        self._set(OFF, since)

    def pause(self, since: float) -> None:
        """Everything stands still. A node that is off stays off."""
        if self.state != OFF:
            self._set(PAUSED, since)

    def restore(self) -> bool:
        """On again; answers whether what ran there is lost."""
        lost = self.state == OFF
        self.state = ON
        self._side.delete(self._key)
        if lost:
            self._runtime.power_on()
        else:
            self._runtime.resume()
        return lost

    def _set(self, state: str, since: float) -> None:
        self._side.put(self._key, {"state": state, "since": since})
        self.state, self.since = state, since
        self._apply()

    def _apply(self) -> None:
        if self.state == OFF:
            self._runtime.power_off()
        elif self.state == PAUSED:
            self._runtime.pause()
