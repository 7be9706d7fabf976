"""Completion indexes of a job, as its status writes them: ``1,3-5,7``.

Kept as intervals, so that a job of a hundred thousand parts costs what there is to say of it. Source:
``pkg/controller/job/indexed_job_utils.go``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_PART = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Indexes:
    """A set of indexes as disjoint, ascending intervals, both ends included."""

    intervals: tuple[tuple[int, int], ...] = ()

    @classmethod
    def parse(cls, text: str | None, completions: int) -> Indexes:
        """What a status or a policy says; indexes from ``completions`` on, and nonsense, are left out."""
        found = []
        for part in (text or "").split(","):
            read = _PART.fullmatch(part)
            if read is not None:
                first, last = int(read[1]), min(int(read[2] or read[1]), completions - 1)
                if first <= last:
                    found.append((first, last))
        return cls(_merged(found))

    def with_(self, indexes: Iterable[int]) -> Indexes:
        """These and those."""
        return Indexes(_merged([*self.intervals, *((each, each) for each in indexes)]))

    def union(self, other: Indexes) -> Indexes:
        """What is in one of the two."""
        return Indexes(_merged([*self.intervals, *other.intervals]))

    def __contains__(self, index: int) -> bool:
        return any(first <= index <= last for first, last in self.intervals)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.intervals)

    def common(self, other: Indexes) -> int:
        """How many are in both."""
        return len(self) + len(other) - len(self.union(other))

    def missing(self, completions: int) -> Iterator[int]:
        """Those below ``completions`` that are not here, in order."""
        start = 0
        for first, last in self.intervals:
            yield from range(start, min(first, completions))
            start = last + 1
        yield from range(start, completions)

    def __str__(self) -> str:
        return ",".join(_text(first, last) for first, last in self.intervals)


def _text(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def _merged(intervals: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for first, last in sorted(intervals):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)
