"""Requests over time: at a steady pace or through phases, whether or not earlier ones have been answered.

Each request has a connection of its own, or they take turns on a number of connections that are kept open; then one
that is due while all of them are taken waits for one, and that time counts. It judges nothing and keeps every record.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import requester

AT_ONCE = 400


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Plan:
    """What is to be sent. ``connections``: kept open, 0 for one a request. ``steady``: a pace, not a number of requests
    by a time: what could not be sent in time is not made up for."""

    url: str
    timeout: float
    phases: tuple[Phase, ...]
    most: int
    connections: int = 0
    steady: bool = False

    @property
    def at_once(self) -> int:
        """How many requests can be under way."""
        fastest = max(max(one.rate, one.to) for one in self.phases)
        return self.connections or min(AT_ONCE, math.ceil(fastest * self.timeout) + 2)


class Flow:
    """Requests that flow by themselves until they are stopped, or all are sent."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._pool = ThreadPoolExecutor(plan.at_once)
        self._kept: queue.SimpleQueue[requester.Kept] = queue.SimpleQueue()
        for _ in range(plan.connections):
            self._kept.put(requester.Kept(plan.url))
        self._sent: list[Future[requester.Record]] = []
        self._stop = threading.Event()
        self._start, self._began = time.monotonic(), time.time()
        self._thread = threading.Thread(target=self._flow, daemon=True)
        self._thread.start()

    def _flow(self) -> None:
        shift, last = self._start, 0.0
        for offset in due(self._plan.phases):
            if self._plan.steady:
                shift = max(shift, time.monotonic() - offset - (offset - last))
            last = offset
            self._stop.wait(max(shift + offset - time.monotonic(), 0))
            if self._stop.is_set() or len(self._sent) >= self._plan.most:
                return
            self._sent.append(self._pool.submit(self._send, shift + offset))

    def _send(self, when: float) -> requester.Record:
        if not self._plan.connections:
            return requester.request(self._plan.url, "GET", self._plan.timeout)
        kept = self._kept.get()  # there are as many as threads
        try:
            return kept.request(when, self._plan.timeout)
        finally:
            self._kept.put(kept)

    def stop(self) -> None:
        """Send no more; returns when every request under way has ended."""
        self._stop.set()
        self._thread.join()
        self._pool.shutdown()
        while not self._kept.empty():
            self._kept.get().close()

    def seen(self, after: int = 0) -> dict[str, Any]:
        """How it stands; ``records`` ends at the first request that is still under way."""
        sent = list(self._sent)
        records = []
        for one in sent[after:]:
            if not one.done():
                break
            records.append(one.result())
        return {"running": self._thread.is_alive(), "began": self._began, "sent": len(sent), "records": records}
