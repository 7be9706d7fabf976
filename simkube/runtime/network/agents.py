"""The programs of the cluster itself that run in pods: on which nodes each does its work right now.

kube-proxy writes rules only on nodes where its pod runs, network policies are enforced only where kindnet's does, and
so on. While a cluster has no pods for them (:mod:`simkube.addons.system`), and while these are only starting for the
first time, everything is done everywhere.
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
        self._expected: set[tuple[str, str]] = set()
        self._halted: set[tuple[str, str]] = set()
        self.starting = False
        """Whether pods of the cluster itself may still be on their way for the first time."""
        self._told: dict[str, list[Callable[[], None]]] = {}

    def house(self, program: str, node: str) -> None:
        """The program works there only while its pod runs, once that has begun or :meth:`expect_no_more` was called."""
        if (program, node) not in self._housed:
            self._housed.add((program, node))
            self._expected.add((program, node))
            self.starting = True

    def expect_no_more(self) -> None:
        """Pods that have not begun by now may never begin: nobody does their work in their place any more."""
        self.starting = False
        late, self._expected = self._expected, set()
        for program in {program for program, _ in late}:
            self._tell(program)

    def housed(self, program: str, node: str = ANYWHERE) -> bool:
        """Whether its pods count."""
        return (program, node) in self._housed and (program, node) not in self._expected

    def runs(self, program: str, node: str = ANYWHERE) -> bool:
        """Whether the program works there."""
        there = not self.housed(program, node) or self._running[program, node] > 0
        return there and (program, node) not in self._halted

    def halted(self, program: str, node: str) -> bool:
        """Whether :meth:`halt` has stopped it there."""
        return (program, node) in self._halted

    def halt(self, program: str, node: str, halted: bool) -> None:
        """Stop a program on one node, its pod staying as it is, or let it go on."""
        if halted != ((program, node) in self._halted):
            self._halted ^= {(program, node)}
            self._tell(program)

    def join(self, program: str, node: str) -> Callable[[], None]:
        """A pod's program begins its work; the returned call ends it."""
        self._housed.add((program, node))
        self._expected.discard((program, node))
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
        self._tell(program)

    def _tell(self, program: str) -> None:
        for call in tuple(self._told.get(program, ())):
            call()
