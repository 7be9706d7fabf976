"""What there is in a cluster when its lab begins, for labs in which it matters what a learner leaves alone.

Taken when everything stands as it will: a Deployment whose pods are still being started is not broken. That takes as
long as the lab's own objects take to start and three seconds, once, before the lab is ready. A cluster that does not
come to rest is taken as it is; one that does not answer is not known, and the check that asks is not graded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

LOOKS, ALIKE, POLL = 60, 3, 1.0
"""At most so many looks; so many in a row that are alike end it; seconds between two."""

log = logging.getLogger(__name__)


def beginning(look: Callable[[], dict[str, Any]], pause: Callable[[float], None]) -> dict[str, Any] | None:
    """The inventory (:mod:`grader.inventory`) at rest; None when there is none to be had."""
    found: dict[str, Any] | None = None
    alike = 0
    try:
        for number in range(LOOKS):
            if number:
                pause(POLL)
            now = look()
            alike = alike + 1 if now == found else 1
            found = now
            if alike == ALIKE:
                break
    except Exception as error:  # noqa: BLE001 -- whatever keeps one from looking, a lab can be begun all the same
        log.warning("what there is at a lab's beginning is not known: %s", error)
        return None
    return found
