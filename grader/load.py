"""Traffic that flows by itself while a check does something else: at a steady pace, or through the phases of a load.

The probe pod sends it and keeps a record of every request; here it is fetched. It does not judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from grader import limits
from grader.answers import Answers
from grader.clock import Clock
from grader.errors import ProbeUnavailable
from grader.probe_pod import ProbePod
from grader.shapes import fields, rows, whole


@dataclass(frozen=True)
class Phase:
    """``seconds`` at ``rate`` requests a second; given ``to``, the rate changes evenly until it is that at the end."""

    seconds: float
    rate: float
    to: float | None = None

    @property
    def last(self) -> float:
        """The rate at its end."""
        return self.rate if self.to is None else self.to


class Traffic:
    """Traffic that flows, or has flown."""

    def __init__(self, pod: ProbePod, url: str, name: str, timeout: float) -> None:
        self._pod, self._url, self._path, self._timeout = pod, url, "/traffic/" + name, timeout
        self._records: list[dict[str, Any]] = []
        self._done = False
        self._running = True
        self.began = 0.0
        """When it began, by the probe's clock (s since 1970); known once it was looked at."""

    def answers(self) -> Answers:
        """Every request so far; after the block, every request there was."""
        if not self._done:
            path = f"{self._path}?after={len(self._records)}"
            self._more(self._pod.call("GET", path, repeatable=True))
        return self._pod.understood(self._url, self._records)

    def stop(self) -> Answers:
        """Stop it; the same answers when called again."""
        if not self._done:
            seconds = limits.SLACK_SECONDS + self._timeout
            query = f"?after={len(self._records)}"
            self._more(self._pod.call("DELETE", self._path + query, seconds=seconds))
            self._done = True
        return self._pod.understood(self._url, self._records)

    def _more(self, told: object) -> None:
        seen = fields(told)
        self._records += rows(seen.get("records"))
        self._running = seen.get("running") is True or len(self._records) < whole(seen.get("sent"))
        began = seen.get("began")
        self.began = float(began) if isinstance(began, int | float) else self.began


class Load(Traffic):
    """Traffic through phases."""

    def __init__(
        self, pod: ProbePod, url: str, name: str, timeout: float, phases: tuple[Phase, ...], clock: Clock
    ) -> None:
        super().__init__(pod, url, name, timeout)
        self.phases, self._clock = phases, clock

    @property
    def seconds(self) -> float:
        """How long all phases take together."""
        return sum(one.seconds for one in self.phases)

    def wait(self) -> Answers:
        """Wait until every phase is over and every request answered or given up; all answers."""
        self.answers()
        deadline = self.began + self.seconds + self._timeout + limits.SLACK_SECONDS
        while (left := self.began + self.seconds - self._clock.now()) > 0 or self._running:
            if left <= 0 and self._clock.now() > deadline:
                raise ProbeUnavailable("the probe has not come to the end of its load")
            self._clock.sleep(max(left, 0.1))
            self.answers()
        return self.answers()

    def phase(self, number: int) -> Answers:
        """What was sent in one phase, counted from 0 (-1 is the last)."""
        ends = list(accumulate(one.seconds for one in self.phases))
        end = ends[number]
        answers = self.answers()
        return answers.between(self.began + end - self.phases[number].seconds - 0.001, self.began + end - 0.001)
