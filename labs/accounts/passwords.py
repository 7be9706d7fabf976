"""Passwords, kept as argon2id hashes and nothing else."""

from __future__ import annotations

import secrets
from functools import cache
from typing import TYPE_CHECKING

from labs.errors import Refused

if TYPE_CHECKING:
    from argon2 import PasswordHasher

PASSWORD_LENGTH = (10, 1000)


def hashed(password: str) -> str:
    """The hash of a new password; ``Refused`` when it is too short."""
    low, high = PASSWORD_LENGTH
    if not low <= len(password) <= high:
        raise Refused(f"A password has at least {low} characters.")
    return _hasher().hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Whether this is the password, after the same work also where there is none."""
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        _hasher().verify(kept or _nobody(), password[:2000])
    except (VerificationError, InvalidHashError):
        return False
    return bool(kept)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # only where a password is looked at

    return PasswordHasher()


@cache
def _nobody() -> str:
    """A hash that nothing matches, so that an unknown name costs as much as a wrong password."""
    return _hasher().hash(secrets.token_hex(16))
