"""Finding and making rows of accounts, within a transaction of whoever asks."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from labs.accounts.names import is_email, is_name
from labs.accounts.views import Role
from labs.errors import NotFound, Refused
from labs.records.models import User


def user_named(tx: Transaction, name: str) -> User:
    """By name; ``NotFound``."""
    user = tx.scalar(select(User).where(User.name == name))
    if user is None:
        raise NotFound(f"there is no account {name!r}")
    return user


def make_user(tx: Transaction, now: datetime, name: str, email: str, display_name: str, role: Role) -> User:
    """A new account; ``Refused`` with what is wrong with its name or email."""
    name, email = name.strip(), email.strip().lower()
    if not is_name(name):
        raise Refused("A name has at most 64 letters, digits and . _ @ + - and begins with a letter or digit.")
    if email and not is_email(email):
        raise Refused("This is not an email address.")
    if tx.scalar(select(User.id).where(User.name == name)):
        raise Refused(f"The name {name} is taken.")
    if email and tx.scalar(select(User.id).where(User.email == email)):
        raise Refused("This email address already has an account.")
    shown = " ".join(display_name.split())[:200]
    user = User(name=name, email=email or None, display_name=shown or name, role=role, created_at=now)
    tx.add(user)
    tx.flush()
    return user
