"""Whether something has changed, asked for many learners at once.

A stamp differs whenever what a lab's page shows of a learner's work does. All stamps together cost a handful of queries
over what is live, however many pages are open; what a page shows is made only where its stamp differs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction

from labs.records.models import Attempt, CheckRecord, HintTaken, Prediction, Session, SessionStep

AT_WORK = ("provisioning", "resetting", "stopping")
AT_ONCE = 400
"""Accounts in one query: SQLite takes so many parameters, and more."""
Subject = tuple[int, str]


@dataclass(frozen=True)
class Stamp:
    """``mark`` is compared for equality only; ``busy``: something is under way that is worth looking at often."""

    mark: tuple[Any, ...] = ()
    busy: bool = False


def stamps(tx: Transaction, subjects: Collection[Subject], places: Mapping[str, int]) -> dict[Subject, Stamp]:
    """The stamp of each account's id and lab; ``places``: how many wait before each attempt that waits for a grader."""
    marks: dict[Subject, list[Any]] = {subject: [] for subject in subjects}
    busy: set[Subject] = set()
    accounts = sorted({account for account, _ in subjects})
    for start in range(0, len(accounts), AT_ONCE):
        some = accounts[start : start + AT_ONCE]
        for subject, mark, at_work in (*_sessions(tx, some), *_attempts(tx, some, places), *_predicted(tx, some)):
            if subject in marks:
                marks[subject].append(mark)
                if at_work:
                    busy.add(subject)
    return {subject: Stamp(tuple(found), subject in busy) for subject, found in marks.items()}


def _sessions(tx: Transaction, accounts: list[int]) -> Iterator[tuple[Subject, Any, bool]]:
    """Sessions that have not ended, with their steps and hints."""
    columns = (Session.id, Session.user_id, Session.lab, Session.state, Session.desired)
    more = (Session.detail, Session.fix, Session.expires_at, Session.reset_wanted)
    still = Session.ended_at.is_(None) | (Session.state == "stopping")
    rows = tx.execute(select(*columns, *more).where(Session.user_id.in_(accounts), still).order_by(Session.id)).all()
    found = [row.id for row in rows]
    steps = _grouped(tx, select(*_STEP).where(SessionStep.session_id.in_(found)))
    taken = select(HintTaken.session_id, func.count()).where(HintTaken.session_id.in_(found))
    hints = _grouped(tx, taken.group_by(HintTaken.session_id))
    for row in rows:
        yield (row.user_id, row.lab), (*row, *steps[row.id], *hints[row.id]), row.state in AT_WORK


_STEP = (SessionStep.session_id, SessionStep.position, SessionStep.started_at, SessionStep.finished_at)


def _attempts(tx: Transaction, accounts: list[int], places: Mapping[str, int]) -> Iterator[tuple[Subject, Any, bool]]:
    """What became of attempts in all, and those that are not done with their checks."""
    total = (func.count(), func.sum(Attempt.score), func.max(Attempt.finished_at), func.max(Attempt.number))
    mine = select(Attempt.user_id, Attempt.lab, *total).where(Attempt.user_id.in_(accounts))
    for account, lab, *summed in tx.execute(mine.group_by(Attempt.user_id, Attempt.lab).order_by(Attempt.lab)):
        yield (account, lab), tuple(summed), False
    open_ones = select(Attempt.id, Attempt.user_id, Attempt.lab, Attempt.state, Attempt.detail, Attempt.regraded)
    rows = tx.execute(open_ones.where(Attempt.user_id.in_(accounts), Attempt.state != "done")).all()
    checks = _grouped(tx, select(*_CHECK).where(CheckRecord.attempt_id.in_([row.id for row in rows])))
    for row in rows:
        yield (row.user_id, row.lab), (*row, places.get(row.id), *sorted(checks[row.id])), True


def _predicted(tx: Transaction, accounts: list[int]) -> Iterator[tuple[Subject, Any, bool]]:
    """How many questions are answered: an answer never changes."""
    given = (Prediction.user_id.in_(accounts), Prediction.option.is_not(None))
    mine = select(Prediction.user_id, Prediction.lab, func.count()).where(*given)
    for account, lab, count in tx.execute(mine.group_by(Prediction.user_id, Prediction.lab).order_by(Prediction.lab)):
        yield (account, lab), ("predicted", count), False


_CHECK = (CheckRecord.attempt_id, CheckRecord.position, CheckRecord.state, CheckRecord.message)


def _grouped(tx: Transaction, query: Any) -> defaultdict[str, list[tuple[Any, ...]]]:
    """Rows by their first column."""
    found: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in tx.execute(query):
        found[row[0]].append(tuple(row[1:]))
    return found
