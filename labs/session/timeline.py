"""What happened while a check was graded, on one line of time: traffic, failures, replicas, what the grader did.

Made from a check's evidence, of which it shows only what it knows. Times are seconds of cluster time since the check
began. It draws nothing and judges nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from grader.shapes import Fields, rows, whole
from labs.session import story

POINTS = 100
"""Of traffic, at most."""
SENTENCES, MARKS = 40, 20
WIDTHS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0)
FLOWS, LOOKS = ("traffic", "load"), ("request", "requests", "received")


@dataclass(frozen=True)
class Bar:
    """A part of the time, and what was sent in it. ``ms``: within which most good answers came; ``hosts``: how many
    replicas answered, None where that is not known."""

    start: float
    seconds: float
    sent: int
    failed: int
    ms: float | None
    hosts: int | None


@dataclass(frozen=True)
class Sample:
    """How many replicas there were, and how many of them ready."""

    at: float
    replicas: int
    ready: int


@dataclass(frozen=True)
class Step:
    """One sentence. ``number``: of its mark on the plot, counted from 1; 0 for what is only told."""

    at: float
    text: str
    number: int = 0


@dataclass(frozen=True)
class Timeline:
    """One check's. ``seconds``: how long it took; ``left_out``: sentences beyond what is shown."""

    seconds: float
    bars: list[Bar]
    samples: list[Sample]
    steps: list[Step]
    left_out: int = 0

    @property
    def marks(self) -> list[Step]:
        """What the grader did to the cluster."""
        return [one for one in self.steps if one.number]

    @property
    def plotted(self) -> bool:
        """Whether there is something to draw."""
        return self.seconds > 0 and bool(self.bars or self.samples)


def timeline(evidence: object) -> Timeline | None:
    """Of a check's evidence as it is stored; None when nothing of it can be told."""
    entries = [one for one in rows(evidence) if story.number(one.get("seconds")) is not None and story.sentence(one)]
    steps = sorted(_steps(entries), key=lambda one: one.at)
    if not steps:
        return None
    flows = [one for one in entries if one.get("what") in FLOWS]
    bars = _bars(flows or [one for one in entries if one.get("what") == "requests"])
    samples = sorted(_samples(entries), key=lambda one: one.at)
    ends = [one.at for one in steps] + [one.start + one.seconds for one in bars] + [one.at for one in samples]
    ends += [float(one["seconds"]) for one in entries]
    numbered, marks = [], 0
    for one in steps:
        marks += bool(one.number)
        numbered.append(Step(one.at, one.text, marks if one.number and marks <= MARKS else 0))
    return Timeline(max(ends), bars, samples, numbered[:SENTENCES], max(len(numbered) - SENTENCES, 0))


def _steps(entries: Iterable[Fields]) -> Iterable[Step]:
    for one in _looked(entries):
        yield Step(_began(one), story.sentence(one), 1 if story.action(one) else 0)


def _looked(entries: Iterable[Fields]) -> list[Fields]:
    """Of the same requests several times, with nothing but other requests between, the last: it knows how many."""
    kept: list[Fields] = []
    for one in entries:
        looks = 0
        for at in range(len(kept) - 1, -1, -1):
            if one.get("what") not in LOOKS or kept[at].get("what") not in LOOKS:
                break
            if _same(one, kept[at]):
                looks = whole(kept.pop(at).get("looks")) or 1
                break
        kept.append({**one, "looks": max(looks + 1, whole(one.get("looks")))} if looks else one)
    return kept


def _same(one: Fields, other: Fields) -> bool:
    same = all(one.get(key) == other.get(key) for key in ("what", "method"))
    return same and story.place(one.get("url")) == story.place(other.get("url"))


def _began(entry: Fields) -> float:
    """When what an entry tells of began: it is written at the end."""
    seconds = float(entry["seconds"])
    began = story.number(entry.get("from"))
    if began is not None:
        return max(began, 0.0)
    took = max((one[0] + one[1] for one in _windows(entry)), default=0.0) if entry.get("what") in FLOWS else 0.0
    return max(seconds - took, 0.0)


def _windows(entry: Fields) -> list[tuple[float, float, int, int, float | None, int | None]]:
    """(start in seconds since the entry's first request, seconds, sent, failed, p95, hosts)."""
    width = story.number(entry.get("window")) or 0.5
    given, made = entry.get("windows"), []
    for one in given if isinstance(given, list) else []:
        if isinstance(one, list) and len(one) > 4 and (start := story.number(one[0])) is not None:
            hosts = whole(one[5]) if len(one) > 5 else None
            made.append((start, width, whole(one[1]), whole(one[2]), story.number(one[4]), hosts))
    return made if isinstance(given, list) else _from_rows(entry)


def _from_rows(entry: Fields) -> list[tuple[float, float, int, int, float | None, int | None]]:
    """The same of single requests: (seconds, ms, answer, host, ...)."""
    given = entry.get("rows")
    made: list[tuple[float, float, int, int, float | None, int | None]] = []
    for one in given if isinstance(given, list) else []:
        if isinstance(one, list) and len(one) > 2 and (start := story.number(one[0])) is not None:
            good = isinstance(one[2], int) and 200 <= one[2] < 400
            made.append((start, 0.0, 1, 0 if good else 1, story.number(one[1]) if good else None, None))
    return made


def _bars(entries: Iterable[Fields]) -> list[Bar]:
    """What all of them sent, in equal parts of the time."""
    given = [
        (_began(entry) + start, width, sent, failed, ms, hosts)
        for entry in entries
        for start, width, sent, failed, ms, hosts in _windows(entry)
    ]
    if not given:
        return []
    end = max(start + width for start, width, *_ in given)
    least = max([0.25, *(width for _, width, *_ in given)])
    width = next((one for one in WIDTHS if one >= least and end / one < POINTS), max(end / POINTS, least))
    parts: dict[int, list[tuple[int, int, float | None, int | None]]] = {}
    for start, _, sent, failed, ms, hosts in given:
        parts.setdefault(math.floor(start / width + 1e-6), []).append((sent, failed, ms, hosts))
    return [_bar(at * width, width, parts[at]) for at in sorted(parts)]


def _bar(start: float, width: float, parts: list[tuple[int, int, float | None, int | None]]) -> Bar:
    times = [ms for _, _, ms, _ in parts if ms is not None]
    hosts = [found for *_, found in parts if found is not None]
    sent, failed = sum(one[0] for one in parts), sum(one[1] for one in parts)
    return Bar(start, width, sent, failed, max(times, default=None), max(hosts, default=None))


def _samples(entries: Iterable[Fields]) -> Iterable[Sample]:
    for entry in entries:
        given = entry.get("rows")
        if entry.get("what") != "series" or not isinstance(given, list):
            continue
        for one in given:
            values = [story.number(part) for part in one[:3]] if isinstance(one, list) else []
            if len(values) == 3 and None not in values:
                at, replicas, ready = (value or 0.0 for value in values)
                yield Sample(_began(entry) + at, int(replicas), int(ready))


def timelines(checks: Iterable[tuple[str, object]]) -> dict[str, Timeline]:
    """By the name of the check, of (name, evidence)."""
    made = {name: timeline(evidence) for name, evidence in checks}
    return {name: one for name, one in made.items() if one is not None}
