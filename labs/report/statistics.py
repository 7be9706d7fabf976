"""From attempts to numbers: best scores, time spent, pass rates, and which mistake is made most."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from grader.what_if import without
from labs.records.models import Attempt, CheckRecord
from labs.report.data import Cell, CheckStatistics

PAUSE = timedelta(minutes=10)  # a longer gap between two things done is not counted as time spent


def cell_of(lab: str, points: float, attempts: list[Attempt], moments: list[datetime], hints: int) -> Cell:
    """One learner in one lab; ``moments`` are those of what they did."""
    counted = [attempt for attempt in attempts if attempt.counted]
    ends = [attempt.finished_at for attempt in attempts if attempt.finished_at]
    starts = [attempt.wanted_at for attempt in attempts]
    all_moments = sorted([*moments, *starts, *ends])
    return Cell(
        lab=lab,
        best_score=max((attempt.score for attempt in counted), default=None),
        max_score=points,
        attempts=len(counted),
        ungradable=len(attempts) - len(counted),
        seconds=time_spent(all_moments),
        last_activity=all_moments[-1] if all_moments else None,
        hints=hints,
    )


def time_spent(moments: Sequence[datetime]) -> float:
    """Seconds between the first and the last of sorted moments, gaps longer than :data:`PAUSE` counted as none."""
    gaps = (later - earlier for earlier, later in pairwise(moments))
    return sum(gap.total_seconds() for gap in gaps if gap <= PAUSE)


def statistics_of(records: Sequence[tuple[CheckRecord, Attempt]], names: list[str]) -> list[CheckStatistics]:
    """Each check of a lab, those of ``names`` first, from the records of finished attempts."""
    by_name: dict[str, list[tuple[CheckRecord, Attempt]]] = {name: [] for name in names}
    for check, attempt in records:
        by_name.setdefault(check.name, []).append((check, attempt))
    return [_check_statistics(name, found) for name, found in by_name.items() if found or name in names]


def _check_statistics(name: str, found: list[tuple[CheckRecord, Attempt]]) -> CheckStatistics:
    graded = [(check, attempt) for check, attempt in found if attempt.counted and check.outcome in ("passed", "failed")]
    passed = [(check, attempt) for check, attempt in graded if check.outcome == "passed"]
    failed = [(without(check.message), attempt.parameters) for check, attempt in graded if check.outcome == "failed"]
    failures = [normalise(message, parameters) for message, parameters in failed]
    frequent, count = Counter(failures).most_common(1)[0] if failures else ("", 0)
    latest = found[-1][0] if found else None
    return CheckStatistics(
        name=name,
        title=latest.title if latest else name,
        points=latest.max_points if latest else 0.0,
        graded=len(graded),
        passed=len(passed),
        failed=len(graded) - len(passed),
        ungradable=sum(check.outcome == "ungradable" for check, _ in found),
        pass_rate=len(passed) / len(graded) if graded else None,
        learners=len({attempt.user_id for _, attempt in graded}),
        learners_passed=len({attempt.user_id for _, attempt in passed}),
        frequent=frequent,
        frequent_count=count,
    )


_VARIES = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uid>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "<address>"),
    (re.compile(r"\bkindling-[a-z0-9-]+?-[0-9a-f]{8,10}(?=-control-plane|-worker)"), "<cluster>"),
    (re.compile(r"(?<=-)[0-9a-f]{6,10}-[0-9a-z]{5}\b"), "…"),
    (re.compile(r"(?<=-)(?=[a-z]*\d)[bcdfghjklmnpqrstvwxz2456789]{5}\b"), "…"),
    (re.compile(r"\d+(?:\.\d+)?"), "N"),
)


def normalise(message: str, parameters: dict[str, Any]) -> str:
    """A failure message without what differs between learners: parameters, generated names, addresses, numbers."""
    text = message
    words = [(name, str(value)) for name, value in parameters.items() if isinstance(value, str) and len(value) > 1]
    for name, word in sorted(words, key=lambda item: -len(item[1])):
        text = re.sub(rf"(?<![\w]){re.escape(word)}(?![\w])", f"<{name}>", text)
    for pattern, stands_for in _VARIES:
        text = pattern.sub(stands_for, text)
    return " ".join(text.split())[:300]
