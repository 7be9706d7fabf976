"""Classes: who teaches and who learns in them, join codes, rosters.

Being in a class shows its instructor what one hands in, so nobody is entered who has not agreed by a join code, or
whose account the instructor made.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction

from labs.accounts.names import in_order, shown_name
from labs.accounts.rosters import enter_line
from labs.accounts.rows import enter_class, leave_class, user_named
from labs.accounts.views import Account, ClassInfo, account_of
from labs.errors import NotFound, Refused
from labs.records.database import Database
from labs.records.models import Membership, SchoolClass, User
from labs.roster import RosterLine, read_roster

_CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none that is mistaken for another


@dataclass(frozen=True)
class Classes:
    """Classes, by who asks. What cannot be is ``NotFound`` or ``Refused`` with a sentence."""

    records: Database
    now: Callable[[], datetime]

    def create_class(self, name: str, instructor: str) -> ClassInfo:
        """A class with a fresh join code; ``instructor`` teaches it. ``Refused`` for a learner or an empty name."""
        name = shown_name(name)
        with self.records.begin() as tx:
            user = user_named(tx, instructor)
            if user.role == "learner" or not name:
                raise Refused("A class needs a name." if not name else "Only an instructor can open a class.")
            row = SchoolClass(name=name, join_code=new_code(), created_at=self.now())
            tx.add(row)
            tx.flush()
            tx.add(Membership(class_id=row.id, user_id=user.id, role="instructor", joined_at=self.now()))
            tx.flush()
            return class_info(tx, row)

    def taught_by(self, name: str) -> list[ClassInfo]:
        """Classes that an account teaches (admins: all), by name."""
        with self.records.read() as tx:
            user = user_named(tx, name)
            query = select(SchoolClass).order_by(SchoolClass.id)
            if user.role != "admin":
                query = query.join(Membership).where(Membership.user_id == user.id, Membership.role == "instructor")
            return sorted((class_info(tx, row) for row in tx.scalars(query)), key=_by_name)

    def joined(self, name: str) -> list[ClassInfo]:
        """Classes that an account learns in. Join codes are left out."""
        with self.records.read() as tx:
            mine = (Membership.user_id == user_named(tx, name).id, Membership.role == "learner")
            rows = tx.scalars(select(SchoolClass).join(Membership).where(*mine).order_by(SchoolClass.id))
            return sorted((class_info(tx, row, code=False) for row in rows), key=_by_name)

    def class_of(self, class_id: str, instructor: str) -> ClassInfo:
        """One class, for who teaches it or an admin; ``NotFound`` for anybody else."""
        with self.records.read() as tx:
            return class_info(tx, taught(tx, class_id, instructor))

    def members(self, class_id: str, instructor: str) -> list[Account]:
        """Its learners, by name."""
        with self.records.read() as tx:
            row = taught(tx, class_id, instructor)
            mine = (Membership.class_id == row.id, Membership.role == "learner", User.deleted_at.is_(None))
            query = select(User).join(Membership).where(*mine)
            return sorted(map(account_of, tx.scalars(query)), key=lambda one: in_order(one.name))

    def join(self, join_code: str, name: str) -> ClassInfo:
        """Enter a class; entering twice is fine. ``Refused`` for an unknown code."""
        with self.records.begin() as tx:
            row = class_with_code(tx, join_code)
            enter_class(tx, self.now(), row, user_named(tx, name))
            return class_info(tx, row, code=False)

    def knows_code(self, join_code: str) -> bool:
        """Whether a class has this join code."""
        with self.records.read() as tx:
            return _open_class(tx, join_code) is not None

    def leave(self, class_id: str, name: str) -> None:
        """Leave a class; what was handed in stays."""
        with self.records.begin() as tx:
            leave_class(tx, class_id, user_named(tx, name))

    def import_roster(self, class_id: str, instructor: str, text: str) -> list[RosterLine]:
        """Enter everybody of a CSV (:mod:`labs.roster`). A bad line is refused alone; ``Malformed`` for no roster.

        See :mod:`labs.accounts.rosters` for who is entered and who is invited.
        """
        entries = read_roster(text)
        with self.records.begin() as tx:
            row, teacher = taught(tx, class_id, instructor), user_named(tx, instructor)
            return [enter_line(tx, self.now(), row, teacher, entry) for entry in entries]


def taught(tx: Transaction, class_id: str, instructor: str) -> SchoolClass:
    """The class, if this account teaches it or is an admin; else ``NotFound``."""
    user, row = user_named(tx, instructor), tx.get(SchoolClass, class_id)
    member = tx.get(Membership, (class_id, user.id))
    if row is None or not (user.role == "admin" or (member is not None and member.role == "instructor")):
        raise NotFound("there is no such class of yours")
    return row


def class_info(tx: Transaction, row: SchoolClass, *, code: bool = True) -> ClassInfo:
    """The view of a row, with or without its join code."""
    learners = (Membership.class_id == row.id, Membership.role == "learner", User.deleted_at.is_(None))
    count = tx.execute(select(func.count()).select_from(Membership).join(User).where(*learners)).scalar_one()
    return ClassInfo(row.id, row.name, row.join_code if code and row.joinable else "", count, row.created_at)


def class_with_code(tx: Transaction, join_code: str) -> SchoolClass:
    """``Refused`` where no class has it."""
    row = _open_class(tx, join_code)
    if row is None:
        raise Refused("There is no class with this code; ask your instructor for it.")
    return row


def _open_class(tx: Transaction, join_code: str) -> SchoolClass | None:
    return tx.scalar(select(SchoolClass).where(SchoolClass.join_code == _code(join_code), SchoolClass.joinable))


def _by_name(one: ClassInfo) -> tuple[str, str]:
    return in_order(one.name)


def new_code() -> str:
    """A join code that nobody has had."""
    return "".join(secrets.choice(_CODE_LETTERS) for _ in range(8))


def _code(join_code: str) -> str:
    """A join code as people type it."""
    return re.sub(r"[\s-]", "", join_code).upper()
