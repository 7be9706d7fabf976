"""Finding a learner's own rows, and nobody else's; writing down what they did."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction

from labs.definition import Lab
from labs.errors import NotFound, NotNow
from labs.records.models import Activity, Attempt, CheckRecord, HintTaken, Session, User

SAME_ACTIVITY = timedelta(seconds=20)


def user_of(tx: Transaction, learner: str) -> User:
    """The account of this name; ``NotFound``."""
    user = tx.scalar(select(User).where(User.name == learner, User.deleted_at.is_(None)))
    if user is None:
        raise NotFound(f"there is no account {learner!r}")
    return user


def own(tx: Transaction, session: str, learner: str) -> Session:
    """The learner's session of this id; ``NotFound`` whether it is another's or nobody's."""
    row = tx.get(Session, session)
    if row is None or row.user.name != learner:
        raise NotFound("there is no such lab of yours")
    return row


def live(tx: Transaction, user: User, lab: str) -> Session | None:
    """The session of a lab that has not ended."""
    return tx.scalar(select(Session).where(Session.user_id == user.id, Session.lab == lab, Session.ended_at.is_(None)))


def last(tx: Transaction, user: User, lab: str) -> Session | None:
    """The session of a lab that has not ended, else the newest that has."""
    mine = select(Session).where(Session.user_id == user.id, Session.lab == lab)
    return tx.scalar(mine.order_by(Session.ended_at.is_not(None), Session.created_at.desc()).limit(1))


def best(tx: Transaction, user: int, lab: str) -> tuple[float | None, int]:
    """The best score of the attempts at a lab that count, and how many count."""
    mine = (Attempt.user_id == user, Attempt.lab == lab, Attempt.counted)
    score, count = tx.execute(select(func.max(Attempt.score), func.count(Attempt.id)).where(*mine)).one()
    return score, count


def uncounted(tx: Transaction, user: int, lab: str) -> list[int]:
    """The numbers of the attempts at a lab that have ended and do not count."""
    mine = (Attempt.user_id == user, Attempt.lab == lab, Attempt.state == "done", ~Attempt.counted)
    return list(tx.scalars(select(Attempt.number).where(*mine).order_by(Attempt.number)))


def due(tx: Transaction, now: datetime) -> list[tuple[str, bool]]:
    """Sessions of which something is wanted, and whether it is quick: cleaning up, nothing that is made or graded."""
    open_rows = Session.ended_at.is_(None) | (Session.state == "stopping")
    rows = tx.scalars(select(Session).where(open_rows)).all()
    undone = {
        attempt.session_id: attempt.state for attempt in tx.scalars(select(Attempt).where(Attempt.state != "done"))
    }
    found: dict[str, bool] = {}
    for row in rows:
        over = row.desired != "ready" or row.expires_at <= now
        killed = undone.get(row.id) == "running"
        at_work = row.state in ("provisioning", "resetting")
        if over or killed or row.id in undone or at_work:
            found[row.id] = (over or killed) and not at_work
    found |= dict.fromkeys(undone.keys() - {row.id for row in rows}, True)
    return list(found.items())


def must_be_ready(row: Session) -> None:
    """``NotNow``, with what to do, for a session that cannot be worked in."""
    if row.state == "ready" and row.desired == "ready":
        return
    if row.ended_at is not None:
        raise NotNow(f"{row.lab} has ended", f"kindling start {row.lab}")
    said = f": {row.detail}" if row.detail else ""
    raise NotNow(f"{row.lab} is {row.state}, not ready{said}", row.fix or f"kindling start {row.lab}")


def passed_checks(tx: Transaction, session: str) -> set[str]:
    """Checks that the latest counted attempt of a session passed."""
    counted = select(Attempt.id).where(Attempt.session_id == session, Attempt.counted)
    latest = tx.scalar(counted.order_by(Attempt.number.desc()).limit(1))
    passed = select(CheckRecord.name).where(CheckRecord.attempt_id == latest, CheckRecord.outcome == "passed")
    return set(tx.scalars(passed)) if latest else set()


def hints_taken(tx: Transaction, session: str) -> dict[str, int]:
    """How many hints of each check were shown."""
    taken: dict[str, int] = {}
    for found in tx.scalars(select(HintTaken).where(HintTaken.session_id == session)):
        taken[found.check] = max(taken.get(found.check, 0), found.number)
    return taken


def note(tx: Transaction, user: int, lab: str, kind: str, now: datetime) -> None:
    """One row of activity, unless the same was noted a moment ago."""
    mine = (Activity.user_id == user, Activity.lab == lab, Activity.kind == kind, Activity.at > now - SAME_ACTIVITY)
    if tx.scalar(select(Activity.id).where(*mine).limit(1)) is None:
        tx.add(Activity(user_id=user, lab=lab, kind=kind, at=now))


def next_check(lab: Lab, passed: set[str], taken: dict[str, int]) -> str:
    """The first check that is not passed and has a hint left; else the last that had one; "" when there is none."""
    open_checks = [info.name for info in lab.checks if info.name in lab.file.hints and info.name not in passed]
    left = [name for name in open_checks if taken.get(name, 0) < len(lab.file.hints[name])]
    if left:
        return left[0]
    fallback = open_checks or [info.name for info in lab.checks if info.name in lab.file.hints]
    return fallback[-1] if fallback else ""
