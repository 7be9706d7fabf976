"""Rows of figures, printed as they are measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median


@dataclass
class Stopwatch:
    """Seconds of wall time; running until :func:`measured` ends."""

    seconds: float = 0.0


@contextmanager
def measured() -> Iterator[Stopwatch]:
    """Measure the block's wall time."""
    watch = Stopwatch()
    started = time.perf_counter()
    try:
        yield watch
    finally:
        watch.seconds = time.perf_counter() - started


def repeated(work: Callable[[], float], times: int) -> tuple[float, float, float]:
    """Minimum, median and maximum of what ``work`` returns."""
    figures = [work() for _ in range(times)]
    return min(figures), median(figures), max(figures)


def row(what: str, figure: str, reach: str = "", beside: str = "") -> None:
    """Print one row: what was measured, the figure, what it should reach, the same on plain kind."""
    print(f"{what:<58} {figure:>24}   {reach:<22} {beside}", flush=True)


def heading(text: str) -> None:
    """Begin a group of rows."""
    print(f"\n{text}\n{'-' * len(text)}", flush=True)
    row("", "measured", "should reach", "plain kind")
