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

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session as Transaction

from labs.accounts.rows import make_user, user_named
from labs.accounts.views import Account, ClassInfo, account_of
from labs.errors import NotFound, Refused
from labs.records.database import Database
from labs.records.models import Membership, SchoolClass, User
from labs.roster import RosterEntry, RosterLine, read_roster

_CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none that is mistaken for another


@dataclass(frozen=True)
class Classes:
    """Classes, by who asks. What cannot be is ``NotFound`` or ``Refused`` with a sentence."""

    records: Database
    now: Callable[[], datetime]

    def create_class(self, name: str, instructor: str) -> ClassInfo:
        """A class with a fresh join code; ``instructor`` teaches it. ``Refused`` for a learner or an empty name."""
        name = " ".join(name.split())[:200]
        with self.records.begin() as tx:
            user = user_named(tx, instructor)
            if user.role == "learner" or not name:
                raise Refused("A class needs a name." if not name else "Only an instructor can open a class.")
            code = "".join(secrets.choice(_CODE_LETTERS) for _ in range(8))
            row = SchoolClass(name=name, join_code=code, created_at=self.now())
            tx.add(row)
            tx.flush()
            tx.add(Membership(class_id=row.id, user_id=user.id, role="instructor", joined_at=self.now()))
            tx.flush()
            return _class(tx, row)

    def taught_by(self, name: str) -> list[ClassInfo]:
        """Classes that an account teaches (admins: all), by name."""
        with self.records.read() as tx:
            user = user_named(tx, name)
            query = select(SchoolClass).order_by(SchoolClass.name, SchoolClass.id)
            if user.role != "admin":
                query = query.join(Membership).where(Membership.user_id == user.id, Membership.role == "instructor")
            return [_class(tx, row) for row in tx.scalars(query)]

    def joined(self, name: str) -> list[ClassInfo]:
        """Classes that an account learns in. Join codes are left out."""
        with self.records.read() as tx:
            mine = (Membership.user_id == user_named(tx, name).id, Membership.role == "learner")
            rows = tx.scalars(select(SchoolClass).join(Membership).where(*mine).order_by(SchoolClass.name))
            return [_class(tx, row, code=False) for row in rows]

    def class_of(self, class_id: str, instructor: str) -> ClassInfo:
        """One class, for who teaches it or an admin; ``NotFound`` for anybody else."""
        with self.records.read() as tx:
            return _class(tx, taught(tx, class_id, instructor))

    def members(self, class_id: str, instructor: str) -> list[Account]:
        """Its learners, by name."""
        with self.records.read() as tx:
            row = taught(tx, class_id, instructor)
            query = select(User).join(Membership).where(Membership.class_id == row.id, Membership.role == "learner")
            return [account_of(user) for user in tx.scalars(query.order_by(User.name))]

    def join(self, join_code: str, name: str) -> ClassInfo:
        """Enter a class; entering twice is fine. ``Refused`` for an unknown code."""
        with self.records.begin() as tx:
            row = tx.scalar(select(SchoolClass).where(SchoolClass.join_code == _code(join_code)))
            if row is None:
                raise Refused("There is no class with this code; ask your instructor for it.")
            self._enter(tx, row, user_named(tx, name))
            return _class(tx, row, code=False)

    def knows_code(self, join_code: str) -> bool:
        """Whether a class has this join code."""
        with self.records.read() as tx:
            return tx.scalar(select(SchoolClass.id).where(SchoolClass.join_code == _code(join_code))) is not None

    def leave(self, class_id: str, name: str) -> None:
        """Leave a class; what was handed in stays."""
        with self.records.begin() as tx:
            mine = (Membership.class_id == class_id, Membership.user_id == user_named(tx, name).id)
            tx.execute(delete(Membership).where(*mine, Membership.role == "learner"))

    def import_roster(self, class_id: str, instructor: str, text: str) -> list[RosterLine]:
        """Enter everybody of a CSV (:mod:`labs.roster`). A bad line is refused alone; ``Malformed`` for no roster.

        Being in a class shows its instructor what one hands in, so an account that learns in none of this instructor's
        classes is not entered but invited: it comes in with the join code, by itself. (Admins see everybody anyway.)
        """
        entries = read_roster(text)
        with self.records.begin() as tx:
            row, teacher = taught(tx, class_id, instructor), user_named(tx, instructor)
            return [self._roster_entry(tx, row, teacher, entry) for entry in entries]

    # Inside

    def _roster_entry(self, tx: Transaction, row: SchoolClass, teacher: User, entry: RosterEntry) -> RosterLine:
        if entry.refused:
            return RosterLine(entry.line, entry.name, entry.email, "refused", entry.refused)
        email = entry.email.lower()
        by_email = tx.scalar(select(User).where(User.email == email)) if email else None
        by_name = tx.scalar(select(User).where(User.name == entry.name))
        name = entry.name
        if by_name is not None and by_email is None and entry.derived:
            by_name, name = None, email  # somebody else has the name that we made up
        if by_email is not None and by_name is not None and by_email is not by_name:
            message = f"the name {entry.name} and the email {email} belong to two different accounts"
            return RosterLine(entry.line, entry.name, email, "refused", message)
        user = by_email or by_name
        if user is not None and email and user.email not in (None, email):
            return RosterLine(entry.line, entry.name, email, "refused", f"the name {entry.name} has another email")
        if user is not None and teacher.role != "admin" and user is not teacher and not teaches(tx, teacher, user.id):
            message = f"has an account: comes in with the join code {row.join_code}"
            return RosterLine(entry.line, entry.name, email, "invited", message)
        try:
            state = "added" if user else "created"
            user = user or make_user(tx, self.now(), name, email, entry.display_name, "learner")
        except Refused as error:
            return RosterLine(entry.line, entry.name, email, "refused", str(error))
        if not self._enter(tx, row, user):
            state = "unchanged"
        return RosterLine(entry.line, user.name, user.email or "", state)

    def _enter(self, tx: Transaction, row: SchoolClass, user: User) -> bool:
        if tx.get(Membership, (row.id, user.id)) is not None:
            return False
        tx.add(Membership(class_id=row.id, user_id=user.id, role="learner", joined_at=self.now()))
        tx.flush()
        return True


def taught(tx: Transaction, class_id: str, instructor: str) -> SchoolClass:
    """The class, if this account teaches it or is an admin; else ``NotFound``."""
    user, row = user_named(tx, instructor), tx.get(SchoolClass, class_id)
    member = tx.get(Membership, (class_id, user.id))
    if row is None or not (user.role == "admin" or (member is not None and member.role == "instructor")):
        raise NotFound("there is no such class of yours")
    return row


def teaches(tx: Transaction, teacher: User, learner: int) -> bool:
    """Whether an account learns in a class that ``teacher`` is an instructor of."""
    theirs = select(Membership.class_id).where(Membership.user_id == teacher.id, Membership.role == "instructor")
    member = (Membership.user_id == learner, Membership.role == "learner", Membership.class_id.in_(theirs))
    return tx.scalar(select(Membership.class_id).where(*member).limit(1)) is not None


def _class(tx: Transaction, row: SchoolClass, *, code: bool = True) -> ClassInfo:
    learners = (Membership.class_id == row.id, Membership.role == "learner")
    count = tx.execute(select(func.count()).select_from(Membership).where(*learners)).scalar_one()
    return ClassInfo(row.id, row.name, row.join_code if code else "", count, row.created_at)


def _code(join_code: str) -> str:
    """A join code as people type it."""
    return re.sub(r"[\s-]", "", join_code).upper()
