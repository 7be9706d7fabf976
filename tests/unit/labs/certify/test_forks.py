"""What a change came to when something came between, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from grader.protocol import CheckResult, Outcome, Verdict
from labs.certify.forks import said, uninterrupted

WHOLE = Verdict(Outcome.PASSED, 1.0, 1.0, 0.0, [])
KILLED = Verdict(Outcome.UNGRADABLE, 0.0, 1.0, 0.0, [], cause="the process ended early (code -9)", killed=True)
BROKEN = Verdict(Outcome.UNGRADABLE, 0.0, 1.0, 0.0, [], cause="ZeroDivisionError")


class HandIn:
    def __init__(self, *, there: bool) -> None:
        self._there = there

    def there(self) -> bool:
        return self._there


@pytest.mark.parametrize(
    ("verdicts", "there", "comes_to", "left"),
    [
        ([WHOLE, KILLED], True, WHOLE, 1),
        ([KILLED, WHOLE, KILLED], True, WHOLE, 1),
        ([KILLED, KILLED, WHOLE], True, KILLED, 1),
        ([KILLED, WHOLE], False, KILLED, 1),
        ([BROKEN, WHOLE], True, BROKEN, 1),
    ],
)
def test_what_was_interrupted_is_graded_once_more(
    verdicts: list[Verdict], there: bool, comes_to: Verdict, left: int
) -> None:
    coming: Any = HandIn(there=there)
    assert uninterrupted(coming, lambda: verdicts.pop(0)) is comes_to
    assert len(verdicts) == left


def test_of_what_could_not_be_decided_the_cause_is_kept() -> None:
    def result(outcome: Outcome, message: str) -> CheckResult:
        return CheckResult("one", "One", outcome, 0.0, 1.0, message, cause="code -9")

    assert said(result(Outcome.UNGRADABLE, "it did not finish.")) == "it did not finish. code -9"
    assert said(result(Outcome.UNGRADABLE, "")) == "code -9"
    assert said(result(Outcome.FAILED, "Expected: more")) == "Expected: more"
