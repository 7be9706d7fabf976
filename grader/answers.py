"""What became of requests: one answer, and many with their arithmetic.

An answer's body is a learner's: it is compared, counted and quoted, never executed.
"""

from __future__ import annotations

import collections
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from grader.errors import ProbeUnavailable
from grader.shop import Page, page_of
from grader.text import quoted

MEANING = {
    "refused": "refused: nothing listens there, or the Service has no ready pod behind it",
    "timeout": "no answer in time",
    "name not found": "DNS knows no such name",
    "reset": "the connection broke off",
    "unreachable": "the address cannot be reached",
    "bad answer": "the answer is not HTTP",
}
WINDOWS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds that one point of a plot may stand for."""
POINTS = 120
WHO = re.compile(r"^(?P<message>.*) from (?P<host>\S+), version (?P<version>\S+)$", re.DOTALL)


@dataclass(frozen=True)
class Answer:
    """One request. ``t``: s since 1970, by the cluster's clock, when it was sent; ``status`` 0 and an ``error`` when
    there was no answer."""

    url: str
    t: float
    ms: float
    status: int
    error: str
    body: str
    again: bool = False
    """Whether it met the end of its kept-alive connection on the way, and was sent once more."""
    digest: str = ""
    """Of the whole body, of which ``body`` may be only the beginning and the end; "" without an answer."""

    @property
    def ok(self) -> bool:
        """Whether it was answered with 2xx or 3xx."""
        return 200 <= self.status < 400

    @property
    def _who(self) -> dict[str, str]:
        found = WHO.match(self.body.rstrip("\n"))
        return found.groupdict() if self.ok and found else {}

    @property
    def message(self) -> str:
        """The message of an answer of ``kindling/web``; "" for any other."""
        return self._who.get("message", "")

    @property
    def host(self) -> str:
        """The pod that answered, as ``kindling/web`` says it; "" for any other answer."""
        return self._who.get("host", "")

    @property
    def version(self) -> str:
        """The version that answered, as ``kindling/web`` says it; "" for any other answer."""
        return self._who.get("version", "")

    @property
    def page(self) -> Page | None:
        """What a service of ``kindling/shop`` said, failed pages too; None for any other answer."""
        found = WHO.match(self.body.rstrip("\n"))
        return page_of(found["message"]) if found and not self.error else None

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def __str__(self) -> str:
        """For a message: ``200 "Hello"`` or ``no answer (refused: ...)``."""
        if self.error:
            return f"no answer ({MEANING.get(self.error, self.error)})"
        return f"status {self.status}, {quoted(self.body)}"


class Answers(Sequence[Answer]):
    """Many requests in the order of sending."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._all = tuple(answers)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Answer]:
        return iter(self._all)

    @overload
    def __getitem__(self, index: int) -> Answer: ...

    @overload
    def __getitem__(self, index: slice) -> Answers: ...

    def __getitem__(self, index: int | slice) -> Answer | Answers:
        return self._all[index] if isinstance(index, int) else Answers(self._all[index])

    @property
    def ok(self) -> Answers:
        """Those answered with 2xx or 3xx."""
        return Answers(one for one in self._all if one.ok)

    @property
    def failed(self) -> Answers:
        """The others."""
        return Answers(one for one in self._all if not one.ok)

    @property
    def hosts(self) -> set[str]:
        """The pods that answered."""
        return {one.host for one in self._all if one.host}

    @property
    def versions(self) -> set[str]:
        """The versions that answered."""
        return {one.version for one in self._all if one.version}

    def since(self, t: float) -> Answers:
        """Those sent at ``t`` (s since 1970) or later."""
        return Answers(one for one in self._all if one.t >= t)

    def before(self, t: float) -> Answers:
        """Those sent before ``t``."""
        return Answers(one for one in self._all if one.t < t)

    def between(self, start: float, end: float) -> Answers:
        """Those sent at ``start`` or later and before ``end``."""
        return Answers(one for one in self._all if start <= one.t < end)

    @property
    def by_host(self) -> dict[str, Answers]:
        """The answers of each replica, by its host name."""
        return self._by(lambda one: one.host)

    @property
    def by_version(self) -> dict[str, Answers]:
        """The answers of each version."""
        return self._by(lambda one: one.version)

    def _by(self, key: Callable[[Answer], str]) -> dict[str, Answers]:
        found: dict[str, list[Answer]] = {}
        for one in self._all:
            if name := key(one):
                found.setdefault(name, []).append(one)
        return {name: Answers(found[name]) for name in sorted(found)}

    def percentile(self, percent: float) -> float:
        """The ms within which so many percent of the good answers came (nearest rank); infinite when none came."""
        good = sorted(one.ms for one in self._all if one.ok)
        return good[max(math.ceil(percent / 100 * len(good)), 1) - 1] if good else math.inf

    def over_time(self, seconds: float = 1.0) -> list[Window]:
        """One after the other what was sent in each such time, from the first request on; empty times as well."""
        if not self._all:
            return []
        start = min(one.t for one in self._all)
        parts: dict[int, list[Answer]] = {}
        for one in self._all:
            parts.setdefault(int((one.t - start) / seconds + 1e-6), []).append(one)
        return [Window(start + at * seconds, seconds, Answers(parts.get(at, ()))) for at in range(max(parts) + 1)]

    @property
    def outage(self) -> float:
        """The longest time in seconds from a failed request to the next good one (or to the last request)."""
        longest, began, last = 0.0, None, 0.0
        for one in self._all:
            last = one.t + one.ms / 1000
            if not one.ok:
                began = one.t if began is None else began
                longest = max(longest, last - began)
            elif began is not None:
                longest, began = max(longest, one.t - began), None
        return round(longest, 2)

    def counted(self) -> dict[str, int]:
        """How often each status or error came: ``{"200": 40, "refused": 2}``."""
        return dict(collections.Counter(one.error or str(one.status) for one in self._all))

    def __str__(self) -> str:
        """For a message: ``3 of 40 requests failed (2 refused: ..., 1 status 503), the first after 1.2 s``."""
        failed = self.failed
        if not failed:
            return f"all {len(self)} requests were answered"
        kinds = [f"{count} {_kind(key)}" for key, count in sorted(failed.counted().items())]
        after = failed[0].t - self._all[0].t
        return f"{len(failed)} of {len(self)} requests failed ({', '.join(kinds)}), the first after {after:.1f} s"

    def record(self, most: int = 1500) -> dict[str, Any]:
        """For evidence: counts, and a compact log of the requests, failures first when there are too many."""
        start = self._all[0].t if self._all else 0.0
        kept = self._all
        if len(kept) > most:
            chosen = {id(one) for one in [*self.failed, *self.ok][:most]}
            kept = tuple(one for one in kept if id(one) in chosen)
        rows = [[round(one.t - start, 3), one.ms, one.error or one.status, one.host, one.version] for one in kept]
        return {
            "started": start,
            "requests": len(self),
            "counted": self.counted(),
            "by_host": {name: len(these) for name, these in self.by_host.items()},
            "by_version": {name: len(these) for name, these in self.by_version.items()},
            "ms": {f"p{percent}": _finite(self.percentile(percent)) for percent in (50, 95, 99)},
            **self._plotted(),
            "columns": ["seconds", "ms", "answer", "host", "version"],
            "rows": rows,
        }

    def _plotted(self) -> dict[str, Any]:
        """``window``: seconds. ``windows``, of each: seconds from the first request, sent, failed, p50 and p95 in ms,
        hosts that answered."""
        if not self._all:
            return {"window": WINDOWS[0], "windows": []}
        start = min(one.t for one in self._all)
        whole = max(one.t for one in self._all) - start
        width = next((one for one in WINDOWS if whole / one < POINTS), whole / POINTS)
        points = [
            [
                round(one.t - start, 2),
                len(one.answers),
                len(one.answers.failed),
                _finite(one.answers.percentile(50)),
                _finite(one.answers.percentile(95)),
                len(one.answers.hosts),
            ]
            for one in self.over_time(width)
        ]
        return {"window": width, "windows": points}


@dataclass(frozen=True)
class Window:
    """A part of the time: from ``t`` (s since 1970) for ``seconds``, and what was sent in it."""

    t: float
    seconds: float
    answers: Answers

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.answers) / self.seconds


def _finite(ms: float) -> float | None:
    return ms if math.isfinite(ms) else None


def _kind(key: str) -> str:
    return f"status {key}" if key.isdigit() else MEANING.get(key, key).split(":")[0]


def answers(url: str, records: Iterable[Mapping[str, Any]]) -> Answers:
    """From the probe's records. ``ProbeUnavailable`` when DNS itself was down: that says nothing about the learner."""
    made = []
    for one in records:
        try:
            t, ms, status = float(one["t"]), float(one["ms"]), int(one["status"])
            made.append(
                Answer(
                    url,
                    t,
                    ms,
                    status,
                    str(one["error"]),
                    str(one["body"]),
                    one.get("again") is True,
                    str(one.get("digest", "")),
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ProbeUnavailable(f"the probe's record of {url} is none: {str(one)[:300]}") from error
        if made[-1].error == "dns unavailable":
            raise ProbeUnavailable(f"the cluster's DNS did not answer for {url}", "the cluster's DNS did not answer")
    return Answers(made)
