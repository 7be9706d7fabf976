"""Links that are used once: to sign in, or to set a password. Of each purpose an account has one at most."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete
from sqlalchemy.orm import Session as Transaction

from labs.records.models import LoginLink, User

SIGN_IN, RESET = "sign-in", "reset"


def add_link(tx: Transaction, user: User, purpose: str, token_hash: str, now: datetime, minutes: float) -> LoginLink:
    """A link; an older one of this purpose ends, and all that have expired are forgotten."""
    older = (LoginLink.user_id == user.id) & (LoginLink.purpose == purpose)
    tx.execute(delete(LoginLink).where(older | (LoginLink.expires_at < now)))
    row = LoginLink(user_id=user.id, purpose=purpose, token_hash=token_hash, created_at=now)
    row.expires_at = now + timedelta(minutes=minutes)
    tx.add(row)
    return row


def usable(purpose: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """What holds of a link of this purpose that can be used."""
    return (LoginLink.purpose == purpose, LoginLink.used_at.is_(None), LoginLink.expires_at >= now)
