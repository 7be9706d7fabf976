"""How long ago something was, in kubectl's words."""

import pytest

from simkube.apiserver.tables.ages import UNKNOWN, age, human

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (2 * MINUTE, "2m"),
        (5 * MINUTE + 10, "5m10s"),
        (10 * MINUTE + 59, "10m"),
        (179 * MINUTE, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + 5 * MINUTE, "3h5m"),
        (8 * HOUR + 5 * MINUTE, "8h"),
        (47 * HOUR, "47h"),
        (2 * DAY, "2d"),
        (3 * DAY + 4 * HOUR, "3d4h"),
        (8 * DAY + HOUR, "8d"),
        (700 * DAY, "700d"),
        (2 * YEAR, "2y"),
        (2 * YEAR + 3 * DAY, "2y3d"),
        (9 * YEAR + 100 * DAY, "9y"),
    ],
)
def test_durations(seconds: int, shown: str) -> None:
    assert human(seconds) == shown


def test_times() -> None:
    assert age("1970-01-01T00:00:10Z", 15.9) == "5s"
    assert age("1970-01-01T00:00:10.500000Z", 130.0) == "119s"
    assert age(None, 15.0) == UNKNOWN
