"""What became of requests: one answer, and many with their arithmetic.

An answer's body is a learner's: it is compared, counted and quoted, never executed.
"""

from __future__ import annotations

import collections
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from grader.errors import ProbeUnavailable
from grader.text import quoted

MEANING = {
    "refused": "refused: nothing listens there, or the Service has no ready pod behind it",
    "timeout": "no answer in time",
    "name not found": "DNS knows no such name",
    "reset": "the connection broke off",
    "unreachable": "the address cannot be reached",
    "bad answer": "the answer is not HTTP",
}
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
            "by_host": dict(collections.Counter(one.host for one in self._all if one.host)),
            "columns": ["seconds", "ms", "answer", "host", "version"],
            "rows": rows,
        }


def _kind(key: str) -> str:
    return f"status {key}" if key.isdigit() else MEANING.get(key, key).split(":")[0]


def answers(url: str, records: Iterable[Mapping[str, Any]]) -> Answers:
    """From the probe's records. ``ProbeUnavailable`` when DNS itself was down: that says nothing about the learner."""
    made = []
    for one in records:
        try:
            t, ms, status = float(one["t"]), float(one["ms"]), int(one["status"])
            made.append(Answer(url, t, ms, status, str(one["error"]), str(one["body"])))
        except (KeyError, TypeError, ValueError) as error:
            raise ProbeUnavailable(f"the probe's record of {url} is none: {str(one)[:300]}") from error
        if made[-1].error == "dns unavailable":
            raise ProbeUnavailable(f"the cluster's DNS did not answer for {url}", "the cluster's DNS did not answer")
    return Answers(made)
