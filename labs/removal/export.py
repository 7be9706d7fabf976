"""Everything that is a person's, as one JSON document: to read, to keep, to take elsewhere.

Written attempt by attempt, so that a long course does not have to fit into memory. It leaves out what lets somebody in
(hashes of passwords and tokens) and what is about a fault of the grader and not about the person (an attempt's cause).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from sqlalchemy import Table, select
from sqlalchemy.orm import Session as Transaction
from sqlalchemy.orm import undefer

from labs.accounts.rows import user_named
from labs.records.database import Database
from labs.records.models import Attempt, CheckRecord, HintTaken, SchoolClass, Session, SessionStep, User
from labs.removal.belongings import STAYS, tables_of_accounts

SECRET = ("_hash",)
LEFT_OUT = {"user_id", "seed", "handle", "cause", "snapshot", "evidence"}
"""Columns that say nothing, or that are written elsewhere in the document."""


@dataclass(frozen=True)
class Export:
    """What is stored about an account."""

    records: Database
    now: Callable[[], datetime]

    def write(self, name: str, file: IO[str]) -> None:
        """Write the document. ``NotFound``."""
        with self.records.read() as tx:
            user = user_named(tx, name)
            file.write('{\n"made_at": ' + _json(self.now()))
            file.write(',\n"account": ' + _json({**_row(user), "has_password": user.password_hash is not None}))
            for table, column, _ in tables_of_accounts():
                if table.name not in STAYS:
                    file.write(f',\n"{table.name}": {_json(list(_rows(tx, table, column, user.id)))}')
            for title, pieces in (("labs", _labs(tx, user)), ("attempts", _attempts(tx, user))):
                file.write(f',\n"{title}": [')
                for number, piece in enumerate(pieces):
                    file.write((",\n" if number else "\n") + _json(piece))
                file.write("]")
            file.write("\n}\n")


def _rows(tx: Transaction, table: Table, column: str, user_id: int) -> Iterator[dict[str, Any]]:
    classes: dict[str, str] = {row.id: row.name for row in tx.scalars(select(SchoolClass))}
    for row in tx.execute(select(table).where(table.c[column] == user_id)).mappings():
        found = {key: value for key, value in row.items() if _told(key)}
        yield found | ({"class": classes[row["class_id"]]} if row.get("class_id") in classes else {})


def _labs(tx: Transaction, user: User) -> Iterator[dict[str, Any]]:
    for row in tx.scalars(select(Session).where(Session.user_id == user.id).order_by(Session.created_at)):
        steps = tx.scalars(select(SessionStep).where(SessionStep.session_id == row.id).order_by(SessionStep.position))
        hints = tx.scalars(select(HintTaken).where(HintTaken.session_id == row.id).order_by(HintTaken.taken_at))
        yield _row(row) | {"steps": [_row(one) for one in steps], "hints_taken": [_row(one) for one in hints]}


def _attempts(tx: Transaction, user: User) -> Iterator[dict[str, Any]]:
    ids = tx.scalars(select(Attempt.id).where(Attempt.user_id == user.id).order_by(Attempt.wanted_at)).all()
    for attempt in ids:
        row = tx.scalars(select(Attempt).where(Attempt.id == attempt).options(undefer(Attempt.snapshot))).one()
        found = select(CheckRecord).where(CheckRecord.attempt_id == attempt).options(undefer(CheckRecord.evidence))
        checks = tx.scalars(found.order_by(CheckRecord.position)).all()
        shown = [_row(check) | {"evidence": check.evidence} for check in checks]
        yield _row(row) | {"checks": shown, "cluster_as_it_was": row.snapshot}
        for one in (row, *checks):
            tx.expunge(one)  # what was written is not kept in memory


def _row(row: Any) -> dict[str, Any]:
    columns = row.__table__.columns
    return {column.key: getattr(row, column.key) for column in columns if _told(column.key)}


def _told(column: str) -> bool:
    return column not in LEFT_OUT and not column.endswith(SECRET)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_time)


def _time(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
