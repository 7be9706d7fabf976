"""How long to wait before trying again: 10 s, doubling to 5 min, forgotten after 10 min without trouble.

The same rule serves image pulls and crashing containers, as in the real kubelet (``flowcontrol.Backoff`` with
``MaxContainerBackOff``): the first failure of a container costs nothing, the second 10 s, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass

INITIAL = 10.0
"""Seconds."""

LONGEST = 300.0
"""Seconds."""


@dataclass(slots=True)
class Backoff:
    """The back-off of one container or one image of a pod. Times are cluster seconds."""

    seconds: float = 0.0
    updated: float = 0.0

    def fail(self, now: float) -> None:
        """Note a failure: the next wait is longer, or the shortest again after :data:`LONGEST` twice over."""
        if self.seconds == 0.0 or now - self.updated > 2 * LONGEST:
            self.seconds = INITIAL
        else:
            self.seconds = min(LONGEST, self.seconds * 2)
        self.updated = now

    def wait(self, since: float, now: float) -> float:
        """Seconds from ``now`` until it may be tried again, given the failure at ``since``; 0 when at once."""
        if self.seconds == 0.0 or since - self.updated > 2 * LONGEST:
            return 0.0
        return max(0.0, since + self.seconds - now)

    def reset(self) -> None:
        """Forget every failure."""
        self.seconds = 0.0


def after_restarts(restarts: int, now: float) -> Backoff:
    """The likely back-off of a container that was restarted so often, for a kubelet that starts anew."""
    return Backoff(min(LONGEST, INITIAL * 2.0 ** (min(restarts, 10) - 1)), now) if restarts else Backoff()
