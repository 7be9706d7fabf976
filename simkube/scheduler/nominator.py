"""Which pods were promised a place on which node, while those that make room for them still end.

Source: ``pkg/scheduler/backend/queue/nominator.go``.
"""

from __future__ import annotations

from simkube.client.client import Key, Obj, key_of
from simkube.scheduler.preemption import priority


def promised(pod: Obj) -> str:
    """The node that a pod was promised a place on; "" for none."""
    return str((pod.get("status") or {}).get("nominatedNodeName") or "")


class Nominator:
    """The nominated pods that are on no node yet."""

    def __init__(self) -> None:
        self._pods: dict[Key, Obj] = {}

    def put(self, pod: Obj) -> str:
        """Take over what a pod says now; the node whose promise it no longer needs, or ""."""
        before = self.drop(key_of(pod))
        if promised(pod):
            self._pods[key_of(pod)] = pod
        return before if before != promised(pod) else ""

    def drop(self, key: Key) -> str:
        """A pod needs no promise any more; the node it had one for, or ""."""
        pod = self._pods.pop(key, None)
        return "" if pod is None else promised(pod)

    def before(self, pod: Obj, node: str) -> list[Obj]:
        """The pods at least as important as ``pod`` that were promised a place on ``node``."""
        mine, own = priority(pod), key_of(pod)
        return [each for key, each in self._at(node) if key != own and priority(each) >= mine]

    def behind(self, pod: Obj, node: str) -> list[Obj]:
        """The less important ones."""
        return [each for _, each in self._at(node) if priority(each) < priority(pod)]

    def _at(self, node: str) -> list[tuple[Key, Obj]]:
        return [(key, each) for key, each in self._pods.items() if promised(each) == node]
