"""Requests over time, as the probe mode of ``kindling/web`` sends them: at a steady pace or through phases.

Each request has a connection of its own, or they take turns on a number of connections that are kept open; then one
that is due while all of them are taken waits for one, and that time counts.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from simkube.clock.clock import Future, Task
from simkube.runtime.process import Process
from simkube.runtime.programs import requester


@dataclass(frozen=True, slots=True)
class Phase:
    """So many ``seconds`` at ``rate`` requests a second, which changes evenly until it is ``to`` at the end."""

    seconds: float
    rate: float
    to: float

    @property
    def requests(self) -> float:
        """How many requests are due in it."""
        return (self.rate + self.to) / 2 * self.seconds

    def after(self, requests: float) -> float:
        """Seconds from its beginning until so many were due."""
        change = (self.to - self.rate) / self.seconds
        if not change:
            return requests / self.rate
        return (math.sqrt(max(self.rate * self.rate + 2 * change * requests, 0.0)) - self.rate) / change


def due(phases: Sequence[Phase]) -> Iterator[float]:
    """When each request is due, in seconds from the beginning of the first phase."""
    number, before, begins = 0, 0.0, 0.0
    for phase in phases:
        while number < before + phase.requests - 1e-9:
            yield begins + phase.after(number - before)
            number += 1
        before += phase.requests
        begins += phase.seconds


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent. ``connections``: kept open, 0 for one a request. ``steady``: a pace, not a number of requests
    by a time: what could not be sent in time is not made up for."""

    url: str
    timeout: float
    phases: tuple[Phase, ...]
    most: int
    connections: int = 0
    steady: bool = False


class Flow:
    """Requests that flow by themselves until they are stopped, or all are sent."""

    def __init__(self, process: Process, plan: Plan) -> None:
        self._process, self._plan, self._clock = process, plan, process.container.clock
        try:
            self._target: requester.Target | None = requester.Target(plan.url, keep=plan.connections > 0)
        except requester.BadRequest:
            self._target = None
        self._sent: list[Task[requester.Record]] = []
        self._kept: deque[requester.Kept] = deque()
        self._waiting: deque[Future[None]] = deque()
        if self._target is not None:
            self._kept.extend(requester.Kept(process, self._target) for _ in range(plan.connections))
        self._stopped = False
        self._began = self._clock.now()
        self._flowing = process.spawn(self._flow())

    async def _flow(self) -> None:
        clock, plan = self._clock, self._plan
        shift, last = clock.now(), 0.0
        for offset in due(plan.phases):
            if plan.steady:
                shift = max(shift, clock.now() - offset - (offset - last))
            last = offset
            if (early := shift + offset - clock.now()) > 0:
                await clock.sleep(early)
            if self._stopped or len(self._sent) >= plan.most:
                return
            self._sent.append(self._process.spawn(self._send(shift + offset)))

    async def _send(self, when: float) -> requester.Record:
        plan = self._plan
        if self._target is None:
            return requester.unsendable(self._process)
        if not plan.connections:
            return await requester.send(self._process, self._target, plan.timeout)
        while not self._kept:
            free: Future[None] = Future()
            self._waiting.append(free)
            await free
        kept = self._kept.popleft()
        try:
            return await kept.request(when, plan.timeout)
        finally:
            self._kept.append(kept)
            if self._waiting:
                self._waiting.popleft().set(None)

    async def stop(self) -> None:
        """Send no more; returns when every request under way has ended."""
        self._stopped = True
        for task in list(self._sent):
            if not task.done:
                await task
        for kept in self._kept:
            kept.close()

    def seen(self, after: int = 0) -> dict[str, Any]:
        """How it stands; ``records`` ends at the first request that is still under way."""
        records = []
        for task in self._sent[after:]:
            if not task.done:
                break
            records.append(task.result())
        running = not self._stopped and not self._flowing.done
        return {"running": running, "began": self._began, "sent": len(self._sent), "records": records}
