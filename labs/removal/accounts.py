"""Removing an account: at once, in one transaction, for good.

The person goes: name, email, password, ways in, quiz answers, predictions, where they are signed in, grants. What
they handed in while they learnt in a class stays with that class under a pseudonym; without such a class it goes as
well, as soon as the clusters are gone (:mod:`labs.removal.forget`). Running labs are stopped, by the reconciler. It
refuses to remove the last admin, and to let anybody but admins and the person itself do it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session as Transaction

from labs.access import AccessRules
from labs.accounts.names import in_order
from labs.accounts.rows import must_leave_an_admin, user_named
from labs.accounts.views import Account, account_of
from labs.errors import NotFound
from labs.records.database import Database
from labs.records.models import (
    Activity,
    Attempt,
    LoginLink,
    Membership,
    Prediction,
    QuizAnswer,
    SchoolClass,
    Session,
    User,
)
from labs.removal.belongings import drop

SHOWN = "Former learner"


@dataclass(frozen=True)
class AccountRemoval:
    """What removing an account means. ``running``: labs that are stopped; ``kept_in``: classes in which the attempts
    stay under a pseudonym (else they go); ``taught``: classes that lose this instructor."""

    account: Account
    running: list[str]
    attempts: int
    quiz_answers: int
    predictions: int
    kept_in: list[str]
    taught: list[str]


@dataclass(frozen=True)
class Removals:
    """``by`` is the account that asks; None is the command, which may remove anybody."""

    records: Database
    rules: AccessRules
    now: Callable[[], datetime]

    def preview(self, name: str) -> AccountRemoval:
        """What would go and what would stay. ``NotFound``."""
        with self.records.read() as tx:
            return _preview(tx, user_named(tx, name))

    def remove(self, name: str, by: str | None) -> AccountRemoval:
        """Remove an account; what went and what stayed. ``NotFound``, ``Refused`` for the last admin."""
        with self.records.begin() as tx:
            user = user_named(tx, name)
            if by is not None and by != name and user_named(tx, by).role != "admin":
                raise NotFound(f"there is no account {name!r}")
            must_leave_an_admin(tx, user)
            seen = _preview(tx, user)
            self._empty(tx, user, keep=bool(seen.kept_in))
            tx.flush()
            self.rules.stop_withdrawn(tx)
            return seen

    def revoke_links(self, name: str) -> int:
        """End every sign-in link of an account that has not been used; how many."""
        with self.records.begin() as tx:
            mine = (LoginLink.user_id == user_named(tx, name).id, LoginLink.used_at.is_(None))
            return len(tx.scalars(delete(LoginLink).where(*mine).returning(LoginLink.id)).all())

    def _empty(self, tx: Transaction, user: User, *, keep: bool) -> None:
        drop(tx, user.id)
        gone = [Membership.user_id == user.id]
        tx.execute(delete(Membership).where(*gone, *([Membership.role == "instructor"] if keep else [])))
        tx.execute(delete(Activity).where(Activity.user_id == user.id, *([Activity.lab == ""] if keep else [])))
        tx.execute(update(Session).where(Session.user_id == user.id).values(seed=""))  # made of the name
        user.name, user.display_name = f"former-{secrets.token_hex(4)}", SHOWN
        user.email = user.password_hash = None
        user.role, user.deleted_at = "learner", self.now()


def _preview(tx: Transaction, user: User) -> AccountRemoval:
    running = select(Session.lab).where(Session.user_id == user.id, Session.ended_at.is_(None)).order_by(Session.lab)
    attempts = _count(tx, Attempt.user_id, user)
    return AccountRemoval(
        account=account_of(user),
        running=list(tx.scalars(running)),
        attempts=attempts,
        quiz_answers=_count(tx, QuizAnswer.user_id, user),
        predictions=_count(tx, Prediction.user_id, user),
        kept_in=_classes(tx, user, ("learner", "former")) if attempts else [],
        taught=_classes(tx, user, ("instructor",)),
    )


def _count(tx: Transaction, column: object, user: User) -> int:
    return tx.execute(select(func.count()).where(column == user.id)).scalar_one()  # type: ignore[arg-type]  # a column


def _classes(tx: Transaction, user: User, roles: Sequence[str]) -> list[str]:
    mine = (Membership.user_id == user.id, Membership.role.in_(roles))
    return sorted(tx.scalars(select(SchoolClass.name).join(Membership).where(*mine)), key=in_order)
