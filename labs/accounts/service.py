"""Accounts and signing in: by password, or by a one-time link of which only the token's hash is kept.

It refuses to say whether a name or a password was the wrong one.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update

from labs.accounts import passwords
from labs.accounts.names import local_name
from labs.accounts.rows import make_user, user_named
from labs.accounts.views import Account, Role, account_of
from labs.errors import Refused
from labs.records.database import Database
from labs.records.models import LoginLink, User


@dataclass(frozen=True)
class Accounts:
    """Accounts. What cannot be is ``NotFound`` or ``Refused`` with a sentence."""

    records: Database
    now: Callable[[], datetime]

    # Accounts

    def by_id(self, account_id: int) -> Account | None:
        """For a cookie."""
        with self.records.read() as tx:
            user = tx.get(User, account_id)
            return account_of(user) if user else None

    def get(self, name: str) -> Account:
        """By name; ``NotFound``."""
        with self.records.read() as tx:
            return account_of(user_named(tx, name))

    def all(self) -> list[Account]:
        """Every account, by name."""
        with self.records.read() as tx:
            return [account_of(user) for user in tx.scalars(select(User).order_by(User.name))]

    def ensure(self, name: str, role: Role = "learner") -> Account:
        """The account of this name, made (without a password) when there is none."""
        with self.records.read() as tx:
            user = tx.scalar(select(User).where(User.name == name))
            if user is not None:
                return account_of(user)
        with self.records.begin() as tx:
            user = tx.scalar(select(User).where(User.name == name)) or make_user(tx, self.now(), name, "", "", role)
            return account_of(user)

    def register(
        self, name: str, password: str, *, email: str = "", display_name: str = "", role: Role = "learner"
    ) -> Account:
        """Make an account with a password; ``Refused`` when the name or email is taken or the password is too short."""
        hashed = passwords.hashed(password)
        with self.records.begin() as tx:
            user = make_user(tx, self.now(), name, email, display_name, role)
            user.password_hash = hashed
            return account_of(user)

    def sign_in(self, name_or_email: str, password: str) -> Account:
        """``Refused`` in the same words, and after the same work, whether the name or the password is wrong."""
        wanted = name_or_email.strip()
        with self.records.read() as tx:
            user = tx.scalar(select(User).where(or_(User.name == wanted, User.email == wanted.lower())))
        if not passwords.matches(user.password_hash if user else None, password) or user is None:
            raise Refused("The name or the password is wrong.")
        return account_of(user)

    def set_password(self, name: str, password: str) -> None:
        """``Refused`` when too short."""
        hashed = passwords.hashed(password)
        with self.records.begin() as tx:
            user_named(tx, name).password_hash = hashed

    def set_role(self, name: str, role: Role) -> Account:
        """Change a role."""
        with self.records.begin() as tx:
            user = user_named(tx, name)
            user.role = role
            return account_of(user)

    def local(self) -> Account:
        """The account of whoever sits at this machine: the same for the command and for the site's one-time link."""
        return self.ensure(local_name(), role="admin")

    # One-time links

    def login_link(self, name: str, minutes: float = 15.0) -> str:
        """A one-time token for the site's sign-in page. Links that have expired are forgotten."""
        token, now = secrets.token_urlsafe(32), self.now()
        with self.records.begin() as tx:
            tx.execute(delete(LoginLink).where(LoginLink.expires_at < now))
            expires = now + timedelta(minutes=minutes)
            user = user_named(tx, name)
            tx.add(LoginLink(user_id=user.id, token_hash=_digest(token), created_at=now, expires_at=expires))
        return token

    def redeem(self, token: str) -> Account:
        """Use a token, once; ``Refused``."""
        now = self.now()
        with self.records.begin() as tx:
            mine = (LoginLink.token_hash == _digest(token), LoginLink.used_at.is_(None), LoginLink.expires_at >= now)
            user_id = tx.execute(
                update(LoginLink).where(*mine).values(used_at=now).returning(LoginLink.user_id)
            ).scalar()
            if user_id is None:
                raise Refused("This sign-in link has been used or has expired; ask for a new one.")
            return account_of(tx.get_one(User, user_id))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
