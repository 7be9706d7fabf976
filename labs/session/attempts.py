"""What is kept of an attempt: every event as it comes, and its end, each in one transaction.

It writes what it is given and judges nothing. Text comes from graders, and so in part from learners.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from grader.protocol import CheckResult, Event, Outcome, check_result
from labs.definition import QuestionFile
from labs.records.database import Database
from labs.records.models import Attempt, CheckRecord, Session
from labs.session.ends import End
from labs.session.predictions import settle

EVENT_PATIENCE = 0.5
"""Seconds: while an event waits to be kept, the time of the attempt runs; the verdict brings all events again."""
Questions = Callable[[str], Mapping[str, QuestionFile]]
"""What a lab asks learners to predict, by the lab's name."""


class Attempts:
    """The attempts of one installation."""

    def __init__(self, records: Database, now: Callable[[], datetime]) -> None:
        self._records, self._now = records, now

    def want_again(self, attempt: str, detail: str) -> None:
        """As it was before it was graded, but for ``regraded`` and ``detail``, which says so."""
        with self._records.begin() as tx:
            row = tx.get_one(Attempt, attempt)
            row.state, row.regraded, row.started_at, row.snapshot = "wanted", True, None, None
            row.detail = detail
            for check in tx.scalars(select(CheckRecord).where(CheckRecord.attempt_id == attempt)):
                check.state, check.outcome, check.message, check.cause = "waiting", None, "", ""
                check.points, check.seconds, check.evidence = 0.0, 0.0, None

    def row(self, attempt: str) -> Attempt:
        """The attempt with its session, to be read only."""
        with self._records.read() as tx:
            row = tx.get_one(Attempt, attempt)
            assert row.session is not None  # loaded here, to be read after the transaction
        return row

    def begin(self, attempt: str, *, forked: bool) -> Attempt:
        """It is being graded from now on, on forks of its cluster or in place."""
        with self._records.begin() as tx:
            row = tx.get_one(Attempt, attempt)
            row.state, row.started_at, row.forked = "running", self._now(), forked
            assert row.session is not None  # loaded here, to be read after the transaction
        return row

    def in_place(self, attempt: str) -> None:
        """Its cluster cannot be forked: it is graded in place, from now on."""
        with self._records.begin() as tx:
            tx.get_one(Attempt, attempt).forked = False

    def record(self, attempt: str, event: Event) -> None:
        """Keep an event of its grading process, which does not wait for that."""
        with self._records.begin(patience=EVENT_PATIENCE) as tx:
            if event.kind == "plan":
                for position, check in enumerate(event.data.get("checks", [])):
                    found = _check(tx, attempt, str(check["name"]), position)
                    found.title, found.max_points = str(check.get("title", "")), float(check.get("points", 0))
            elif event.kind == "started":
                _check(tx, attempt, str(event.data["name"])).state = "running"
            elif event.kind == "finished":
                _put(tx, attempt, check_result(event.data))
            elif event.kind == "snapshot":
                tx.get_one(Attempt, attempt).snapshot = event.data

    def note(self, attempt: str, cause: str) -> None:
        """Keep why it was interrupted."""
        with self._records.begin() as tx:
            tx.get_one(Attempt, attempt).cause = _text(cause)

    def say(self, attempt: str, detail: str) -> bool:
        """Tell the learner what is waited for; whether that is new."""
        with self._records.begin() as tx:
            row = tx.get_one(Attempt, attempt)
            said, row.detail = row.detail, detail
            return said != detail

    def snapshot(self, attempt: str) -> Any:
        """The snapshot that was kept first, None when none was."""
        with self._records.read() as tx:
            return tx.scalar(select(Attempt.snapshot).where(Attempt.id == attempt))

    def beginning(self, session: str) -> dict[str, Any]:
        """What there was in a session's cluster when its lab began; empty when that is not known."""
        with self._records.read() as tx:
            return tx.scalar(select(Session.beginning).where(Session.id == session)) or {}

    def finish(self, attempt: str, end: End, questions: Questions) -> None:
        """Keep its end, and what became of the learner's predictions; nothing when it has one."""
        verdict = end.verdict
        with self._records.begin() as tx:
            row = tx.get_one(Attempt, attempt)
            if row.state == "done":
                return
            for result in verdict.checks:
                _put(tx, attempt, result)
            tx.flush()
            for check in tx.scalars(select(CheckRecord).where(CheckRecord.attempt_id == attempt)):
                if check.state != "done":
                    check.state, check.outcome, check.message = "done", str(Outcome.UNGRADABLE), "Not graded."
            row.state, row.outcome = "done", str(verdict.outcome)
            row.counted = verdict.outcome is not Outcome.UNGRADABLE
            row.score, row.max_score = verdict.score, verdict.max_score or row.max_score
            row.finished_at = self._now()
            row.seconds = (row.finished_at - (row.started_at or row.wanted_at)).total_seconds()
            row.detail, row.cause = end.detail, _text(verdict.cause)
            if verdict.snapshot:
                row.snapshot = verdict.snapshot
            if row.counted:
                happened = {name: option for result in verdict.checks for name, option in result.happened.items()}
                points, most = settle(tx, row, questions(row.lab), happened, row.finished_at)
                row.score, row.max_score = row.score + points, row.max_score + most


def _check(tx: Transaction, attempt: str, name: str, position: int | None = None) -> CheckRecord:
    """The row of a check, made when there is none."""
    name = _text(name)[:100]
    row = tx.get(CheckRecord, (attempt, name))
    if row is None:
        count = len(list(tx.scalars(select(CheckRecord.name).where(CheckRecord.attempt_id == attempt))))
        row = CheckRecord(attempt_id=attempt, name=name, position=count)
        tx.add(row)
    if position is not None:
        row.position = position
    return row


def _put(tx: Transaction, attempt: str, result: CheckResult) -> None:
    row = _check(tx, attempt, result.name)
    row.title, row.state, row.outcome = _text(result.title), "done", str(result.outcome)
    row.points, row.max_points, row.seconds = result.points, result.max_points, result.seconds
    row.message, row.cause, row.evidence = _text(result.message), _text(result.cause), _clean(result.evidence)


def _text(text: str) -> str:
    """Text as every database takes it: PostgreSQL refuses the character NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _clean(value: Any) -> Any:
    return value or None
