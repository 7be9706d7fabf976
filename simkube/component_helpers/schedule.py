"""Schedules of cron jobs: five fields or a descriptor, in a time zone, and when they are due next.

The dialect and its messages are those of ``github.com/robfig/cron/v3`` (ParseStandard), which Kubernetes uses: ``?``
means ``*``, names of months and days may be used, ``@every 90s`` counts from when it is asked. It refuses a time zone
within the schedule; that has a field of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

YEARS = 5
"""A schedule that is not due within so many years never is (30 February)."""
_MONTHS = {"janfebmaraprmayjunjulaugsepoctnovdec"[3 * number : 3 * number + 3]: number + 1 for number in range(12)}
_DAYS = {"sunmontuewedthufrisat"[3 * number : 3 * number + 3]: number for number in range(7)}
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


class ScheduleError(ValueError):
    """What is wrong with a schedule or a time zone, in the words of the parser."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    low: int
    high: int
    names: dict[str, int]


_FIELDS = (
    _Bounds(0, 59, {}),
    _Bounds(0, 23, {}),
    _Bounds(1, 31, {}),
    _Bounds(1, 12, _MONTHS),
    _Bounds(0, 6, _DAYS),
)


@dataclass(frozen=True, slots=True)
class _Field:
    values: frozenset[int]
    star: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something is due; ``every`` is the seconds of an ``@every``, else 0."""

    minute: _Field
    hour: _Field
    day: _Field
    month: _Field
    weekday: _Field
    every: float = 0.0

    def next(self, after: float, zone: tzinfo = UTC) -> float | None:
        """The first time after ``after`` (seconds since the epoch) that it is due; None when it never is."""
        if self.every:
            return float(int(after) + int(self.every))
        at = datetime.fromtimestamp(int(after) // 60 * 60 + 60, zone)
        last = at.year + YEARS
        while at.year <= last:
            if at.month not in self.month.values:
                at = _first_of_next_month(at)
            elif not self._is_day(at):
                at = _midnight(at + timedelta(days=1))
            elif at.hour not in self.hour.values:
                at = _later(at.replace(minute=0), 3600)
            elif at.minute not in self.minute.values:
                at = _later(at, 60)
            else:
                return at.timestamp()
        return None

    def _is_day(self, at: datetime) -> bool:
        day, weekday = at.day in self.day.values, (at.isoweekday() % 7) in self.weekday.values
        return (day and weekday) if self.day.star or self.weekday.star else (day or weekday)


def _first_of_next_month(at: datetime) -> datetime:
    year, month = (at.year + 1, 1) if at.month == 12 else (at.year, at.month + 1)
    return _midnight(at.replace(year=year, month=month, day=1))


def _midnight(at: datetime) -> datetime:
    """The first moment of that day: where the clocks jump over midnight, the first hour there is."""
    return _later(at.replace(hour=0, minute=0, fold=0), 0)


def _later(at: datetime, seconds: int) -> datetime:
    """So many seconds of real time later, whatever the clocks on the wall do meanwhile."""
    return datetime.fromtimestamp(at.timestamp() + seconds, at.tzinfo)


@lru_cache(maxsize=256)
def parse(text: str) -> Schedule:
    """The schedule; :class:`ScheduleError` says what is wrong with it."""
    if not text:
        raise ScheduleError("empty spec string")
    if text.startswith("@"):
        every = _every(text)
        if every:
            nothing = _Field(frozenset(), False)
            return Schedule(nothing, nothing, nothing, nothing, nothing, every)
        if text not in _DESCRIPTORS:
            raise ScheduleError(f"unrecognized descriptor: {text}")
        text = _DESCRIPTORS[text]
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ScheduleError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    minute, hour, day, month, weekday = (_field(each, bounds) for each, bounds in zip(fields, _FIELDS, strict=True))
    return Schedule(minute, hour, day, month, weekday)


@lru_cache(maxsize=64)
def zone_of(name: str | None) -> tzinfo:
    """The time zone of that name, UTC for none; :class:`ScheduleError` when there is no such zone."""
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # not found, a directory, not a name at all
        raise ScheduleError(f"unknown time zone {name}") from None


def _every(text: str) -> float:
    if not text.startswith("@every "):
        return 0.0
    duration = text.removeprefix("@every ")
    parts = _DURATION.findall(duration)
    if not parts or "".join(a + b for a, b in parts) != duration.lstrip("+-"):
        raise ScheduleError(f'failed to parse duration {text}: time: invalid duration "{duration}"')
    return max(1.0, sum(float(amount) * _UNITS[unit] for amount, unit in parts))


def _field(text: str, bounds: _Bounds) -> _Field:
    values: set[int] = set()
    star = False
    for part in filter(None, text.split(",")):
        found, whole = _range(part, bounds)
        values.update(found)
        star = star or whole
    return _Field(frozenset(values), star)


def _range(text: str, bounds: _Bounds) -> tuple[range, bool]:
    """The values of one ``a``, ``a-b``, ``a-b/n``, ``*/n``; and whether it is all of them by a star."""
    span, *steps = text.split("/")
    ends = span.split("-")
    star = ends[0] in ("*", "?")
    low = bounds.low if star else _number(ends[0], bounds)
    high = bounds.high if star else low
    if not star and len(ends) == 2:
        high = _number(ends[1], bounds)
    elif not star and len(ends) > 2:
        raise ScheduleError(f"too many hyphens: {text}")
    step = 1
    if len(steps) == 1:
        step = _integer(steps[0])
        if len(ends) == 1:
            high = bounds.high
    elif steps:
        raise ScheduleError(f"too many slashes: {text}")
    if low < bounds.low:
        raise ScheduleError(f"beginning of range ({low}) below minimum ({bounds.low}): {text}")
    if high > bounds.high:
        raise ScheduleError(f"end of range ({high}) above maximum ({bounds.high}): {text}")
    if low > high:
        raise ScheduleError(f"beginning of range ({low}) beyond end of range ({high}): {text}")
    if step == 0:
        raise ScheduleError(f"step of range should be a positive number: {text}")
    return range(low, high + 1, step), star and step == 1


def _number(text: str, bounds: _Bounds) -> int:
    named = bounds.names.get(text.lower())
    return _integer(text) if named is None else named


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ScheduleError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text)
    if number < 0:
        raise ScheduleError(f"negative number ({number}) not allowed: {text}")
    return number
