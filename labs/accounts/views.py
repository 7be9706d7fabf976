"""What others see of an account and of a class. Views only: rows stay inside this room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from labs.records.models import User

Role = Literal["learner", "instructor", "admin"]


@dataclass(frozen=True)
class Account:
    """An account. ``name`` is unique and is what every other service calls the learner.

    ``password_set_by``: by which link; "" by its owner, who knew the old one.
    """

    id: int
    name: str
    display_name: str
    email: str
    role: Role
    has_password: bool
    disabled: bool = False
    password_set_at: datetime | None = None
    password_set_by: str = ""


@dataclass(frozen=True)
class ClassInfo:
    """A class. ``members`` counts its learners; ``join_code`` is "" while it has none."""

    id: str
    name: str
    join_code: str
    members: int
    created_at: datetime


def account_of(user: User) -> Account:
    """The view of a row."""
    role = cast(Role, user.role)
    return Account(
        id=user.id,
        name=user.name,
        display_name=user.display_name or user.name,
        email=user.email or "",
        role=role,
        has_password=bool(user.password_hash),
        disabled=user.disabled_at is not None,
        password_set_at=user.password_set_at,
        password_set_by=user.password_set_by,
    )
