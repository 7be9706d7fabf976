"""Figures as Prometheus reads them: the text format, and counts that grow by label.

After ``k8s.io/component-base/metrics``. It refuses to keep more series than :data:`MOST_SERIES` a family, so that what
strangers ask for cannot fill the memory, and to invent a figure: whoever has none leaves the family out.
Source of the format: https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

CONTENT = "text/plain; version=0.0.4; charset=utf-8"
MOST_SERIES = 2000
Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[tuple[str, str], ...]
Series = tuple[Mapping[str, str], float]
"""Labels, and the value that they have."""


@dataclass(frozen=True, slots=True)
class Family:
    """Series of one name. Of a histogram, the names end with ``_bucket``, ``_sum`` and ``_count``: ``parts``."""

    name: str
    kind: Kind
    help: str
    series: Iterable[Series] = ()
    parts: Iterable[tuple[str, Mapping[str, str], float]] = ()


@dataclass(slots=True)
class Counts:
    """What happened how often, by labels."""

    names: tuple[str, ...]
    values: dict[tuple[str, ...], float] = field(default_factory=dict)

    def add(self, *labels: str, by: float = 1.0) -> None:
        """Count once more."""
        if labels in self.values or len(self.values) < MOST_SERIES:
            self.values[labels] = self.values.get(labels, 0.0) + by

    def series(self) -> Iterator[Series]:
        """All of them."""
        for labels, value in self.values.items():
            yield dict(zip(self.names, labels, strict=True)), value


@dataclass(slots=True)
class Durations:
    """How long something took, in seconds, by labels; ``bounds`` are those of the buckets."""

    names: tuple[str, ...]
    bounds: tuple[float, ...]
    values: dict[tuple[str, ...], list[float]] = field(default_factory=dict)

    def add(self, seconds: float, *labels: str) -> None:
        """One took so long."""
        found = self.values.get(labels)
        if found is None:
            if len(self.values) >= MOST_SERIES:
                return
            found = self.values[labels] = [0.0] * (len(self.bounds) + 2)
        found[bisect.bisect_left(self.bounds, seconds)] += 1
        found[-1] += seconds

    def parts(self) -> Iterator[tuple[str, Mapping[str, str], float]]:
        """Buckets, sums and counts."""
        for labels, found in self.values.items():
            named = dict(zip(self.names, labels, strict=True))
            total = 0.0
            for bound, number in zip((*(f"{each:g}" for each in self.bounds), "+Inf"), found, strict=False):
                total += number
                yield "_bucket", {**named, "le": bound}, total
            yield "_sum", named, found[-1]
            yield "_count", named, total


def render(families: Iterable[Family]) -> str:
    """The page, families by name; one without series is left out."""
    lines: list[str] = []
    for family in sorted(families, key=lambda each: each.name):
        found = [*(("", *each) for each in family.series), *family.parts]
        if not found:
            continue
        lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
        lines += [_line(f"{family.name}{end}", labels, value) for end, labels, value in found]
    return "\n".join([*lines, ""])


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    shown = ",".join(f'{key}="{_escaped(labels[key])}"' for key in sorted(labels))
    return f"{name}{{{shown}}} {_number(value)}" if shown else f"{name} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
