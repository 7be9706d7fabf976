"""Taking away what belongs to a class: a learner's place in it, its join code, the class itself.

For who teaches the class, and admins. Learners keep their accounts and what they handed in. It refuses to lose anything
by accident: what removing a class takes with it is said by its preview.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction

from labs.access import AccessRules
from labs.accounts.classes import class_info, new_code, taught
from labs.accounts.rows import leave_class, user_named
from labs.accounts.views import ClassInfo
from labs.records.database import Database
from labs.records.models import Attempt, Membership, Place, SchoolClass, User


@dataclass(frozen=True)
class ClassRemoval:
    """What removing a class means. ``forgotten``: removed accounts whose ``attempts`` only this class kept."""

    found: ClassInfo
    learners: int
    waiting: int
    forgotten: int
    attempts: int


@dataclass(frozen=True)
class ClassRemovals:
    """Everything is ``NotFound`` for who does not teach the class and is no admin."""

    records: Database
    rules: AccessRules
    now: Callable[[], datetime]

    def preview(self, class_id: str, instructor: str) -> ClassRemoval:
        """What would go."""
        with self.records.read() as tx:
            return _preview(tx, taught(tx, class_id, instructor))

    def remove(self, class_id: str, instructor: str) -> ClassRemoval:
        """Remove the class with its memberships, code, invitations and grants."""
        with self.records.begin() as tx:
            row = taught(tx, class_id, instructor)
            seen = _preview(tx, row)
            tx.delete(row)
            tx.flush()
            self.rules.stop_withdrawn(tx)
            return seen

    def remove_learner(self, class_id: str, instructor: str, learner: str) -> bool:
        """End a learner's membership; what they handed in stays theirs. False for who is not in the class."""
        with self.records.begin() as tx:
            row = taught(tx, class_id, instructor)
            left = leave_class(tx, row.id, user_named(tx, learner))
            tx.flush()
            self.rules.stop_withdrawn(tx)
            return left

    def renew_code(self, class_id: str, instructor: str) -> ClassInfo:
        """Another join code; the old one ends at once. Opens a class that was closed."""
        return self._code(class_id, instructor, joinable=True)

    def close(self, class_id: str, instructor: str) -> ClassInfo:
        """No join code at all until it is renewed: nobody comes in by one."""
        return self._code(class_id, instructor, joinable=False)

    def _code(self, class_id: str, instructor: str, *, joinable: bool) -> ClassInfo:
        with self.records.begin() as tx:
            row = taught(tx, class_id, instructor)
            row.join_code, row.joinable = new_code(), joinable
            tx.flush()
            return class_info(tx, row)


def _preview(tx: Transaction, row: SchoolClass) -> ClassRemoval:
    members = select(Membership.user_id).where(Membership.class_id == row.id, Membership.role != "instructor")
    elsewhere = select(Membership.user_id).where(Membership.class_id != row.id)
    gone = (User.deleted_at.is_not(None), User.id.in_(members), User.id.not_in(elsewhere))
    forgotten = tx.scalars(select(User.id).where(*gone)).all()
    attempts = select(func.count()).select_from(Attempt).where(Attempt.user_id.in_(forgotten))
    waiting = select(func.count()).select_from(Place).where(Place.class_id == row.id, Place.user_id.is_(None))
    info = class_info(tx, row)
    return ClassRemoval(
        info, info.members, tx.execute(waiting).scalar_one(), len(forgotten), tx.execute(attempts).scalar_one()
    )
