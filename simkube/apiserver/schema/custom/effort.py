"""What an object may cost that a user's definition describes: its schema, defaults and patterns are the user's, too.

An object of some thousand values is no work, and a schema of some thousand fields is none; each value against each
field is. So what is gone through is counted, and the request refused (501) before anybody else on the loop could feel
it. A step is about two microseconds.
"""

from __future__ import annotations

from simkube.apimachinery.errors import not_simulated

MOST_STEPS = 20_000
"""Steps that the defaults of an object may take, and as many its validation."""


class Effort:
    """Steps that are left."""

    def __init__(
        self, steps: int = MOST_STEPS, what: str = "an object of this size with a schema of this size"
    ) -> None:
        self._left = steps
        self._what = what

    def spend(self, steps: int = 1) -> None:
        """Use some; StatusError 501 when there are none left."""
        self._left -= steps
        if self._left < 0:
            raise not_simulated(self._what)
