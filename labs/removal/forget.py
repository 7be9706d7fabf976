"""The last rows of removed accounts, once nothing needs them any more.

Level-triggered: whoever brings sessions in line asks again and again. It refuses while a cluster of the account is
still there or an attempt is not closed: these rows say what is to be removed.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as Transaction

from labs.records.models import Attempt, Membership, Session, User


def forgettable(tx: Transaction) -> Sequence[int]:
    """Removed accounts that no class keeps and that own nothing unfinished, by id."""
    kept = select(Membership.user_id).join(Attempt, Attempt.user_id == Membership.user_id)
    open_sessions = select(Session.user_id).where(Session.ended_at.is_(None) | (Session.state == "stopping"))
    undone = select(Attempt.user_id).where(Attempt.state != "done")
    gone = (User.deleted_at.is_not(None), User.id.not_in(kept))
    return tx.scalars(select(User.id).where(*gone, User.id.not_in(open_sessions), User.id.not_in(undone))).all()


def forget(tx: Transaction) -> None:
    """Remove them with everything that they handed in."""
    found = forgettable(tx)
    tx.execute(delete(Attempt).where(Attempt.user_id.in_(found)))
    tx.execute(delete(Session).where(Session.user_id.in_(found)))
    tx.execute(delete(User).where(User.id.in_(found)))
