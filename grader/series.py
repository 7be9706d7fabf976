"""The ``watch`` fixture: replicas, readiness, restarts, nodes and latency over time, while a check does other things;
and who is being taken away (:mod:`grader.leaving`).

It looks whenever the check waits (:mod:`grader.sampling`). A state that came and went between two looks is not seen:
what must not happen even for an instant is for traffic to show. A look that the cluster does not answer is a gap, not
an error.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from grader.cluster import Cluster, Selector, node_ready, selector_text
from grader.errors import GraderError
from grader.evidence import Evidence
from grader.leaving import Leaving
from grader.limits import LOAD_ROWS_REQUESTS
from grader.objects import Pod
from grader.probe import FAILED, Probe
from grader.sampling import SampledClock

SAMPLES = 5000


@dataclass(frozen=True)
class Sample:
    """One look. ``t``: s since 1970, cluster time. ``replicas``: pods that match and are not over or being deleted;
    ``ready`` of them; ``restarts``: of containers of all pods seen, since the series began; ``nodes``: that are ready;
    ``ms``: how long an answer took, None without a URL, infinite without a good answer."""

    t: float
    replicas: int
    ready: int
    restarts: int
    nodes: int
    ms: float | None = None


class Series:
    """Samples in the order of time. A value holds from its sample to the next."""

    def __init__(self, samples: Sequence[Sample] = (), end: float | None = None) -> None:
        self.samples = list(samples)
        self.end = end
        """When it was over; None while it goes on."""

    def values(self, name: str) -> list[float]:
        """All values of ``replicas``, ``ready``, ``restarts``, ``nodes`` or ``ms``; without those not known."""
        return [float(value) for one in self.samples if (value := getattr(one, name)) is not None]

    def lowest(self, name: str) -> float:
        """The least of them; 0 when nothing was seen."""
        return min(self.values(name), default=0.0)

    def highest(self, name: str) -> float:
        """The greatest of them; 0 when nothing was seen."""
        return max(self.values(name), default=0.0)

    def since(self, t: float) -> Series:
        """From ``t`` (s since 1970) on."""
        return Series([one for one in self.samples if one.t >= t], self.end)

    def total(self, name: str) -> float:
        """The value times the seconds that it held: 3 replicas for 20 s are 60 replica-seconds."""
        if not self.samples:
            return 0.0
        ends = [*(one.t for one in self.samples[1:]), self.end or self.samples[-1].t]
        parts = zip(self.samples, ends, strict=True)
        return sum(float(getattr(one, name) or 0) * max(end - one.t, 0.0) for one, end in parts)

    def turns(self, name: str) -> int:
        """How often it changed its direction: up, down and up again is 2."""
        values = [value for value, _ in itertools.groupby(self.values(name))]
        up = [after > before for before, after in itertools.pairwise(values)]
        return sum(one != other for one, other in itertools.pairwise(up))

    def first(self, holds: Callable[[Sample], object], since: float = 0.0) -> float | None:
        """When something was first seen to be so, at ``since`` or later (s since 1970); None when it never was."""
        return next((one.t for one in self.samples if one.t >= since and holds(one)), None)

    def record(self) -> dict[str, Any]:
        """For evidence: of values that stay the same the first and the last."""
        start = self.samples[0].t if self.samples else 0.0
        rows = [
            [round(one.t - start, 2), one.replicas, one.ready, one.restarts, one.nodes, _finite(one.ms)]
            for one in self.samples
        ]
        kept = [row for at, row in enumerate(rows) if not 0 < at < len(rows) - 1 or rows[at - 1][1:] != row[1:]]
        return {"columns": ["seconds", "replicas", "ready", "restarts", "nodes", "ms"], "rows": kept}

    def __str__(self) -> str:
        """For a message: ``2 to 4 of up to 4 replicas ready``."""
        if not self.samples:
            return "nothing was seen"
        ready = f"{self.lowest('ready'):g} to {self.highest('ready'):g}"
        return f"{ready} of up to {self.highest('replicas'):g} replicas ready"


class Watch:
    """Follows pods over time."""

    def __init__(self, cluster: Cluster, probe: Probe, clock: SampledClock, evidence: Evidence) -> None:
        self._cluster, self._probe, self._clock, self._evidence = cluster, probe, clock, evidence

    @contextlib.contextmanager
    def series(self, selector: Selector, *, every: float = 1.0, url: str = "") -> Iterator[Series]:
        """Follow the pods that match, and the cluster's nodes, until the block ends; a look every ``every`` seconds.
        With ``url`` each look also sends a GET there, and takes its time."""
        follower = _Follower(self._cluster, self._probe, selector, every, url)
        began = self._clock.now()
        self._clock.add(follower)
        try:
            yield follower.series
        finally:
            self._clock.remove(follower)
            now = self._clock.now()
            follower.take(now)
            follower.series.end = now
            told = follower.series.record()
            self._evidence.add("series", began=began, selector=selector_text(selector), every=every, **told)

    @contextlib.contextmanager
    def leaving(
        self, pods: Sequence[Pod], *, seconds: float, port: int = 8080, every: float = 0.5
    ) -> Iterator[Leaving]:
        """Follow pods that may be taken away; who is, is asked at its own address, on ``port``, as by clients that have
        not heard of it for ``seconds``. The block ends when that is over for the last of them."""
        found = Leaving(self._cluster, self._probe, self._clock, pods, seconds, port, every)
        if not pods:
            yield found
            return
        began = self._clock.now()
        self._clock.add(found)
        try:
            yield found
            found.finish()
        finally:
            self._clock.remove(found)
            answers = found.answers
            told = {"pods": found.gone, "after": seconds, **answers.record(LOAD_ROWS_REQUESTS)}
            self._evidence.add("leaving", began=began, **told)
            failed = self._evidence.measures.get(FAILED, 0) + len(answers.failed)
            self._evidence.measure(FAILED, failed)


class _Follower:
    def __init__(self, cluster: Cluster, probe: Probe, selector: Selector, every: float, url: str) -> None:
        self._cluster, self._probe, self._selector, self._every, self._url = cluster, probe, selector, every, url
        self.due = 0.0
        self.series = Series()
        self._first: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def take(self, now: float) -> None:
        """See :class:`grader.sampling.Sampler`."""
        self.due = now + self._every
        if len(self.series.samples) >= SAMPLES:
            return
        with contextlib.suppress(GraderError):
            pods = self._cluster.pods(self._selector)
            nodes = sum(node_ready(one) for one in self._cluster.nodes())
            ready = sum(one.ready for one in pods)
            sample = Sample(now, len(pods), ready, self._restarts(pods), nodes, self._ms())
            self.series.samples.append(sample)

    def _restarts(self, pods: Sequence[Pod]) -> int:
        begins = not self.series.samples
        for one in pods:
            self._first.setdefault(one.uid, one.restarts if begins else 0)
            self._last[one.uid] = one.restarts
        return sum(self._last[uid] - self._first[uid] for uid in self._last)

    def _ms(self) -> float | None:
        if not self._url:
            return None
        answer = self._probe.peek(self._url)
        return answer.ms if answer.ok else float("inf")


def _finite(ms: float | None) -> float | None:
    return ms if ms is not None and ms != float("inf") else None
