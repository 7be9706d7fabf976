"""Keeping what must outlive the host process: the sandbox of each pod, saved when it changes.

Changes of state, and what an exec did, are saved at once. While nothing but log lines comes, the pauses double, so that
an idle cluster whose probes are logged costs little; a killed host may lose those last lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from simkube.kubelet.pod import Pod
from simkube.kubelet.recovery import saved

PAUSES = (30.0, 300.0)
"""Shortest and longest time until new log lines are saved, in seconds."""


class SideStore(Protocol):
    """Where a kubelet keeps what must outlive the host process (``simkube.etcd.store.Side``)."""

    def put(self, key: str, value: Any) -> None: ...

    def get(self, key: str) -> Any: ...

    def items(self, prefix: str = "") -> Iterator[tuple[str, Any]]: ...

    def delete(self, key: str) -> None: ...


class Checkpointer:
    """Saves the pods of one node. ``later(uid, seconds)`` has :meth:`save` called for a pod, at once when 0."""

    def __init__(self, side: SideStore, node: str, later: Callable[[str, float], None]) -> None:
        self._side = side
        self._prefix = f"kubelet/{node}/"
        self._later = later
        self._followed: dict[str, tuple[tuple[str, ...], list[Callable[[], None]]]] = {}
        self._pauses: dict[str, float] = {}
        self._planned: set[str] = set()
        self._saved: dict[str, tuple[int, int]] = {}

    def state(self, uid: str) -> Any:
        """What was saved of a pod; None when nothing was."""
        return self._side.get(self._prefix + uid)

    def soon(self, pod: Pod) -> None:
        """Something happened to the pod: save it at the next opportunity, and its log lines from now on."""
        self._follow(pod)
        self._pauses.pop(pod.uid, None)
        self._later(pod.uid, 0.0)

    def save(self, pod: Pod) -> None:
        """Save it now if anything changed."""
        self._planned.discard(pod.uid)
        sandbox = pod.sandbox
        if sandbox is None or self._saved.get(pod.uid) == (id(sandbox), sandbox.version):
            return
        self._saved[pod.uid] = (id(sandbox), sandbox.version)
        self._side.put(self._prefix + pod.uid, saved(pod))

    def forget(self, uid: str) -> None:
        """The pod is gone for good."""
        self._unfollow(uid)
        self._pauses.pop(uid, None)
        self._planned.discard(uid)
        self._saved.pop(uid, None)
        self._side.delete(self._prefix + uid)

    def forget_all(self) -> None:
        """The node lost everything that ran on it."""
        for key, _ in self._side.items(self._prefix):
            self.forget(key.removeprefix(self._prefix))

    def _follow(self, pod: Pod) -> None:
        running = [run.container for run in pod.runs.values() if run.container is not None and run.running]
        ids = tuple(container.id for container in running)
        if self._followed.get(pod.uid, ((), []))[0] != ids:
            self._unfollow(pod.uid)
            ends = [container.log.follow(lambda _: self._written(pod.uid)) for container in running]
            self._followed[pod.uid] = (ids, ends)

    def _unfollow(self, uid: str) -> None:
        for end in self._followed.pop(uid, ((), []))[1]:
            end()

    def _written(self, uid: str) -> None:
        if uid not in self._planned:
            self._planned.add(uid)
            pause = self._pauses.get(uid, PAUSES[0])
            self._pauses[uid] = min(PAUSES[1], pause * 2)
            self._later(uid, pause)
