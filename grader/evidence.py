"""What a check was decided from, kept for the instructor: bounded, plain, JSON.

It keeps observations, not opinions: counts and logs of requests, what pods said, what was broken and when.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grader import limits
from grader.clock import Clock
from grader.text import bounded, plain

SAME_ENTRIES, RECENT_ENTRIES = 4, 12
ABOUT = ("who", "method", "fault", "target", "deployment")


class Evidence:
    """The evidence of the check that is under way, in the order it was seen; ``seconds`` of each entry are the
    cluster's since the check began."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start: float | None = None
        self._forget()

    def begin(self) -> None:
        """Another check begins: start with nothing, now. ``ClusterUnreachable`` when nobody knows what time it is."""
        self._forget()
        self._start = self._clock.now()

    def measure(self, what: str, value: float) -> None:
        """Keep one number that the check is about, by what it counts: ``measure("failed requests", 41)``. Of the same
        thing the last counts. A learner may read it (:mod:`grader.what_if`)."""
        if what in self.measures or len(self.measures) < limits.EVIDENCE_ENTRIES:
            self.measures[plain(what, 100)] = round(float(value), 3)

    def _forget(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.measures: dict[str, float] = {}
        self._left = limits.EVIDENCE_CHARACTERS
        self._start = None  # then it is the time of the first entry

    def add(self, what: str, *, began: float | None = None, **data: Any) -> None:
        """Keep ``data`` under the heading ``what``. Beyond the bounds only the heading is kept, then nothing.

        ``began``: when what it tells of began, if that was earlier (s since 1970 by the cluster's clock).

        Of what is looked at again and again (the same heading and URL, whatever its query), also in turn with other
        things, the first looks and the last are kept.
        """
        same = [one for one in self.entries[-RECENT_ENTRIES:] if _about(one) == _about({"what": what, **data})]
        if len(same) >= SAME_ENTRIES:
            data["looks"] = same[-1].get("looks", SAME_ENTRIES) + 1
            self.entries = [one for one in self.entries if one is not same[-1]]
        if len(self.entries) >= limits.EVIDENCE_ENTRIES:
            return
        now = self._clock.now()
        self._start = now if self._start is None else self._start
        seconds = round(now - self._start, 2)
        limit = min(limits.ENTRY_CHARACTERS, self._left)
        if began is not None:
            data = {"from": round(min(max(began - self._start, 0.0), seconds), 2), **data}
        kept = bounded(data, limit) if limit > 0 else {"…": "left out: too much evidence"}
        self._left -= len(str(kept))
        self.entries.append({"seconds": seconds, "what": plain(what, 200), **kept})


def _about(entry: Mapping[str, Any]) -> tuple[object, ...]:
    """What makes two entries the same thing, looked at twice."""
    return (entry["what"], str(entry.get("url")).partition("?")[0], *(entry.get(name) for name in ABOUT))
