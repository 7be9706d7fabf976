"""Schedules of cron jobs: when they are due, and what is wrong with the others."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from simkube.component_helpers.schedule import ScheduleError, parse, zone_of


def due(text: str, after: str, zone: str | None = None) -> str:
    at = parse(text).next(datetime.fromisoformat(after).timestamp(), zone_of(zone))
    assert at is not None
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("* * * * *", "2026-01-01T00:00:30Z", "2026-01-01T00:01"),
        ("* * * * *", "2026-01-01T00:01:00Z", "2026-01-01T00:02"),
        ("*/15 * * * *", "2026-01-01T00:46:00Z", "2026-01-01T01:00"),
        ("5/20 * * * *", "2026-01-01T00:26:00Z", "2026-01-01T00:45"),
        ("0 9 * * mon-fri", "2026-01-02T10:00:00Z", "2026-01-05T09:00"),
        ("0 0 1 * MON", "2026-01-02T00:00:00Z", "2026-01-05T00:00"),
        ("0 0 13 * ?", "2026-12-14T00:00:00Z", "2027-01-13T00:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00"),
        ("0,30 12 * jul 0", "2026-01-01T00:00:00Z", "2026-07-05T12:00"),
        ("@hourly", "2026-01-01T00:00:00Z", "2026-01-01T01:00"),
        ("@weekly", "2026-01-01T00:00:00Z", "2026-01-04T00:00"),
        ("@monthly", "2026-01-01T00:00:00Z", "2026-02-01T00:00"),
        ("@yearly", "2026-01-01T00:00:00Z", "2027-01-01T00:00"),
        ("@every 1h30m", "2026-01-01T00:00:00Z", "2026-01-01T01:30"),
    ],
)
def test_next(text: str, after: str, expected: str) -> None:
    assert due(text, after) == expected


def test_time_zones_and_the_hour_that_is_not_there() -> None:
    assert due("30 8 * * *", "2026-01-01T00:00:00Z", "Europe/Berlin") == "2026-01-01T07:30"
    assert due("30 8 * * *", "2026-07-01T00:00:00Z", "Europe/Berlin") == "2026-07-01T06:30"
    assert due("30 2 * * *", "2026-03-29T00:00:00Z", "Europe/Berlin") == "2026-03-30T00:30"
    assert due("0 * * * *", "2026-10-25T00:30:00Z", "Europe/Berlin") == "2026-10-25T01:00"


def test_what_is_never_due() -> None:
    assert parse("0 0 30 2 *").next(0) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty spec string"),
        ("* * *", "expected exactly 5 fields, found 3: [* * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@often", "unrecognized descriptor: @often"),
        ("@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'),
    ],
)
def test_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ScheduleError) as failure:
        parse(text)
    assert str(failure.value) == message


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "Europe", ""])
def test_unknown_zones(name: str) -> None:
    with pytest.raises(ScheduleError, match="unknown time zone"):
        zone_of(name)
