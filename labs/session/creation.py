"""The rows that begin things: a session that is wanted, an attempt that is handed in. All else follows from these."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction

from labs.definition import Lab
from labs.records.models import Attempt, CheckRecord, Session, User, new_id


def new_session(
    tx: Transaction,
    user: User,
    lab: Lab,
    provider: str,
    seed: str,
    parameters: dict[str, Any],
    now: datetime,
    expires: datetime,
) -> Session:
    """A session in which nothing has been made yet; the name of its cluster is chosen here, before there is one."""
    session = new_id()
    cluster = f"kindling-{lab.name[:19].rstrip('-')}-{session[:10]}"
    row = Session(
        id=session,
        user_id=user.id,
        lab=lab.name,
        lab_version=lab.version,
        provider=provider,
        cluster=cluster,
        handle={"name": cluster},
        parameters=parameters,
        seed=seed,
        created_at=now,
        expires_at=expires,
    )
    tx.add(row)
    tx.flush()
    return row


def give_up(row: Session, now: datetime) -> None:
    """End a session for its learner; whatever there is of its cluster is still to be removed (``stopping``)."""
    row.desired, row.state, row.detail, row.fix, row.ended_at = "stopped", "stopping", "", "", now


def new_attempt(tx: Transaction, session: Session, lab: Lab, now: datetime) -> Attempt:
    """A wanted attempt, with a row for each check that the lab has at this moment."""
    mine = (Attempt.user_id == session.user_id, Attempt.lab == session.lab)
    attempt = Attempt(
        number=1 + (tx.scalar(select(func.max(Attempt.number)).where(*mine)) or 0),
        session_id=session.id,
        user_id=session.user_id,
        lab=session.lab,
        lab_version=lab.version,
        provider=session.provider,
        parameters=session.parameters,
        max_score=lab.points,
        wanted_at=now,
    )
    tx.add(attempt)
    tx.flush()
    tx.add_all(
        CheckRecord(attempt_id=attempt.id, name=info.name, position=position, title=info.title, max_points=info.points)
        for position, info in enumerate(lab.checks)
    )
    tx.flush()
    return attempt
