"""From rows to views: what a learner may see of sessions and attempts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction
from sqlalchemy.orm import undefer

from labs.records.models import Attempt, CheckRecord, HintTaken, Session, SessionStep
from labs.session.queries import best, uncounted
from labs.session.views import AttemptView, CheckView, SessionView, StepView


def session_view(tx: Transaction, row: Session, now: datetime, *, working: bool, max_score: float) -> SessionView:
    """One session; ``max_score`` is its lab's points."""
    score, count = best(tx, row.user_id, row.lab)
    hints = tx.execute(select(func.count()).select_from(HintTaken).where(HintTaken.session_id == row.id)).scalar_one()
    return SessionView(
        id=row.id,
        learner=row.user.name,
        lab=row.lab,
        provider=row.provider,
        state=row.state,
        detail=row.detail,
        fix=row.fix,
        working=working,
        steps=[_step(step, row.state, now) for step in row.steps],
        created_at=row.created_at,
        ready_at=row.ready_at,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
        seconds_left=max(0.0, (row.expires_at - now).total_seconds()) if row.ended_at is None else 0.0,
        parameters=dict(row.parameters),
        attempts=count,
        uncounted=uncounted(tx, row.user_id, row.lab),
        best_score=score,
        max_score=max_score,
        hints_taken=hints,
    )


def _step(step: SessionStep, session_state: str, now: datetime) -> StepView:
    if step.started_at is None:
        return StepView(step.name, "waiting", 0.0)
    if step.finished_at is not None:
        return StepView(step.name, "done", (step.finished_at - step.started_at).total_seconds())
    state = "running" if session_state in ("provisioning", "resetting") else "failed"
    return StepView(step.name, state, (now - step.started_at).total_seconds())


def attempt_view(
    tx: Transaction, row: Attempt, now: datetime, *, instructor: bool = False, before: int | None = None
) -> AttemptView:
    """One attempt; evidence and causes for an instructor only. ``before``: how many wait before it, if it waits."""
    checks = select(CheckRecord).where(CheckRecord.attempt_id == row.id).order_by(CheckRecord.position)
    if instructor:
        checks = checks.options(undefer(CheckRecord.evidence))
    return AttemptView(
        id=row.id,
        session=row.session_id,
        learner=row.user.name,
        lab=row.lab,
        provider=row.provider,
        number=row.number,
        state=row.state,
        outcome=row.outcome,
        counted=row.counted,
        score=row.score,
        max_score=row.max_score,
        seconds=_seconds(row, now),
        wanted_at=row.wanted_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        checks=[_check(check, instructor=instructor) for check in tx.scalars(checks)],
        detail=row.detail,
        cause=row.cause if instructor else "",
        before=before,
    )


def _seconds(row: Attempt, now: datetime) -> float:
    if row.state == "done" or row.started_at is None:
        return row.seconds
    return (now - row.started_at).total_seconds()


def _check(row: CheckRecord, *, instructor: bool) -> CheckView:
    return CheckView(
        name=row.name,
        title=row.title,
        state=row.state,
        outcome=row.outcome,
        points=row.points,
        max_points=row.max_points,
        message=row.message,
        seconds=row.seconds,
        evidence=(row.evidence or []) if instructor else [],
        cause=row.cause if instructor else "",
    )
