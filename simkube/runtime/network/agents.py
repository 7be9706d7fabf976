"""The programs of the cluster itself that run in pods: on which nodes each does its work right now.

kube-proxy writes rules only on nodes where its pod runs, network policies are enforced only where kindnet's does, and
so on. While a cluster has no pods for them (:mod:`simkube.addons.system`) everything is done everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

ANYWHERE = ""
"""The node of a program of which one is enough for the cluster."""


class Agents:
    """Keys are the names of programs and of nodes (:data:`ANYWHERE`)."""

    def __init__(self) -> None:
        self._running: Counter[tuple[str, str]] = Counter()
        self._housed: set[tuple[str, str]] = set()
        self._told: dict[str, list[Callable[[], None]]] = {}

    def house(self, program: str, node: str) -> None:
        """From now on the program works there only while its pod runs."""
        self._housed.add((program, node))

    def housed(self, program: str, node: str = ANYWHERE) -> bool:
        """Whether its pods count."""
        return (program, node) in self._housed

    def runs(self, program: str, node: str = ANYWHERE) -> bool:
        """Whether the program works there."""
        return (program, node) not in self._housed or self._running[program, node] > 0

    def join(self, program: str, node: str) -> Callable[[], None]:
        """A pod's program begins its work; the returned call ends it."""
        self.house(program, node)
        self._count(program, node, 1)
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self._count(program, node, -1)

        return leave

    def on_change(self, program: str, call: Callable[[], None]) -> Callable[[], None]:
        """Call ``call`` whenever a program begins or ends its work somewhere, until the returned call is made."""
        calls = self._told.setdefault(program, [])
        calls.append(call)
        return lambda: calls.remove(call) if call in calls else None

    def _count(self, program: str, node: str, change: int) -> None:
        self._running[program, node] += change
        for call in tuple(self._told.get(program, ())):
            call()
