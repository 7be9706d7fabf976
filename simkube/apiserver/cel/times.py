"""Moments and durations in expressions: as Go's ``time`` reads and writes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from simkube.apiserver.cel.errors import EvaluationError

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PIECE = re.compile(r"(\d{0,18})(?:\.(\d{0,18}))?(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_OFFSET = re.compile(r"([+-]?)(\d\d):(\d\d)", re.ASCII)
_MOST = 1 << 63


class Duration(int):
    """Nanoseconds."""

    __slots__ = ()


def bounded(nanoseconds: int) -> int:
    """The number, or an error when it is beyond what a duration can be."""
    if not -_MOST <= nanoseconds < _MOST:
        raise EvaluationError("duration overflow")
    return nanoseconds


def duration(value: Any) -> Duration:
    """``duration("1h30m")``."""
    if isinstance(value, Duration):
        return value
    rest = value.lstrip("+-") if value[:1] in ("+", "-") else value
    total, at = 0, 0
    while at < len(rest) <= 100:
        match = _PIECE.match(rest, at)
        if match is None or not (match[1] or match[2]):
            break
        unit, digits = _UNITS[match[3]], match[2] or ""
        total += int(match[1] or 0) * unit + int(digits or 0) * unit // 10 ** len(digits)
        at = match.end()
    if (at < len(rest) or not rest) and rest != "0":
        raise EvaluationError(f'time: invalid duration "{value}"')
    return Duration(bounded(-total if value[:1] == "-" else total))


def seconds_text(value: Duration) -> str:
    """Seconds with as many decimals as needed."""
    whole, part = divmod(abs(int(value)), 10**9)
    text = f"{whole}.{part:09d}".rstrip("0").rstrip(".")
    return f"-{text}" if value < 0 else text


def timestamp(value: Any) -> datetime:
    """``timestamp("2026-01-02T03:04:05Z")``, or of seconds since the epoch."""
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str):
            if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", value, re.ASCII):
                raise ValueError(value)
            return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value)).astimezone(UTC)
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise EvaluationError(f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse') from None


def text(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    shown = moment.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{shown}Z"


def moved(moment: datetime, by: Duration) -> datetime:
    """A moment later by a duration."""
    try:
        return moment + timedelta(microseconds=int(by) / 1000)
    except OverflowError:
        raise EvaluationError("timestamp overflow") from None


def between(start: datetime, end: datetime) -> Duration:
    """From one moment to another."""
    gap = end - start
    return Duration(bounded((gap.days * 86400 + gap.seconds) * 10**9 + gap.microseconds * 1000))


PARTS: dict[str, Callable[[datetime], int]] = {
    "getFullYear": lambda at: at.year,
    "getMonth": lambda at: at.month - 1,
    "getDate": lambda at: at.day,
    "getDayOfMonth": lambda at: at.day - 1,
    "getDayOfYear": lambda at: at.timetuple().tm_yday - 1,
    "getDayOfWeek": lambda at: at.isoweekday() % 7,
    "getHours": lambda at: at.hour,
    "getMinutes": lambda at: at.minute,
    "getSeconds": lambda at: at.second,
    "getMilliseconds": lambda at: at.microsecond // 1000,
}
DURATION_PARTS = {"getHours": 3600 * 10**9, "getMinutes": 60 * 10**9, "getSeconds": 10**9, "getMilliseconds": 10**6}


def _zone(name: str) -> tzinfo:
    """A time zone by its name in the tz database, or by its distance from UTC: ``-02:00``."""
    match = _OFFSET.fullmatch(name)
    if match is not None:
        distance = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-distance if match[1] == "-" else distance)
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise EvaluationError(f"unknown time zone {name}") from None


def _reader(name: str) -> Callable[..., int]:
    def read(value: Any, zone: str = "") -> int:
        if isinstance(value, Duration):
            if name == "getMilliseconds":
                return abs(int(value)) % 10**9 // 10**6
            return int(int(value) / DURATION_PARTS[name])
        return PARTS[name](value.astimezone(_zone(zone)) if zone else value)

    return read


READERS = {name: _reader(name) for name in PARTS}
