"""Time that a test lets pass, and a cluster whose time passes only when it is let."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from grader.clock import Look, PlainLook


class SteppedClock:
    """A clock that only sleeping moves. ``at`` has things happen at a time on the way."""

    def __init__(self, start: float = 1_000_000.0) -> None:
        self.start = self.time = start
        self.sleeps: list[float] = []
        self._events: list[tuple[float, Callable[[], object]]] = []

    def at(self, seconds: float, happen: Callable[[], object]) -> None:
        """Have it happen so long after the start."""
        self._events.append((self.start + seconds, happen))
        self._events.sort(key=lambda one: one[0])

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.move(seconds)

    def move(self, seconds: float) -> None:
        end = self.time + seconds
        while self._events and self._events[0][0] <= end:
            self.time, happen = self._events.pop(0)
            happen()
        self.time = end

    def look(self) -> Look:
        return PlainLook(self)


class StillCluster:
    """Answers below ``/simkube`` for a scripted cluster (:class:`tests.doubles.api_server.ScriptedCluster`) as a fork
    does. ``change`` whenever an object has been changed."""

    def __init__(self, scripted: Any, clock: SteppedClock) -> None:
        self.scripted, self.clock, self.revision = scripted, clock, 100
        self.slept: list[dict[str, float]] = []
        self._usual = scripted.handle
        scripted.handle = self.handle

    def change(self) -> None:
        self.revision += 1

    def handle(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        if not target.startswith("/simkube/"):
            answer: tuple[int, Any] = self._usual(method, target, body)
            return answer
        self.scripted.seen.append(f"{method} {target}")
        if (method, target) == ("POST", "/simkube/sleep"):
            self.slept.append(body)
            self._sleep(**body)
        return 200, json.dumps({"time": self.clock.time, "revision": self.revision})

    def _sleep(self, seconds: float, every: float = 0.0, since: float = -1.0) -> None:
        end = self.clock.time + seconds
        while (left := end - self.clock.time) > 1e-9:
            self.clock.move(min(every or left, left))
            if every and self.revision > since:
                return
