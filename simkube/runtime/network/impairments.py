"""What makes answers late or lose them: slow nodes, and paths between two addresses with latency and loss.

Only the way back is impaired, as by a queueing discipline on the answering side: a client's SYN arrives, the answer to
it and to each request comes late, or is lost and sent again after TCP's retransmission time-out. It refuses to reorder
or to corrupt, and knows nothing of UDP. Source of the time-outs: RFC 6298, and Linux' ``TCP_RTO_MIN``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from simkube.clock.clock import Clock

PERIOD, SHARE = 0.5, 0.05
"""What is on a slow node runs for the first ``SHARE`` seconds of each ``PERIOD``."""
RETRANSMIT = 0.2
"""Seconds until a lost answer is sent again, doubled each time."""
MOST_RETRANSMITS = 8


@dataclass(frozen=True, slots=True)
class Path:
    """From one address to another: ``delay`` in seconds, ``loss`` from 0 to 1."""

    delay: float = 0.0
    loss: float = 0.0


class Impairments:
    """Those of one cluster. ``paths`` has the client's address and the server's."""

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        self._clock, self._chance = clock, chance
        self.slow: set[str] = set()
        self.paths: dict[tuple[str, str], Path] = {}

    def __bool__(self) -> bool:
        return bool(self.slow or self.paths)

    def loses(self, client: str, server: str) -> bool:
        """Whether the server's answer to this SYN is lost."""
        path = self.paths.get((client, server))
        return path is not None and self._chance.random() < path.loss

    async def accepted(self, client: str, server: str) -> None:
        """Wait until the server's answer to a SYN has arrived, which its kernel gives."""
        path = self.paths.get((client, server))
        if path is not None:
            await self._clock.sleep(path.delay)

    async def answered(self, node: str, client: str, server: str) -> None:
        """Wait until what the server, on ``node``, has to say has arrived."""
        if node in self.slow:
            await self._turn()
        path = self.paths.get((client, server))
        if path is not None:
            await self._clock.sleep(path.delay + self._lost(path))

    async def _turn(self) -> None:
        passed = self._clock.now() % PERIOD
        if passed >= SHARE:
            await self._clock.sleep(PERIOD - passed)

    def _lost(self, path: Path) -> float:
        """Seconds until an answer gets through."""
        waited, wait = 0.0, RETRANSMIT
        for _ in range(MOST_RETRANSMITS):
            if self._chance.random() >= path.loss:
                break
            waited, wait = waited + wait, 2 * wait
        return waited


__all__ = ["Impairments", "Path"]
