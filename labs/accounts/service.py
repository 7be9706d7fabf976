"""Accounts and signing in: by password, or by a one-time link of which only the token's hash is kept.

It refuses to say whether a name or a password was the wrong one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from labs.accounts import passwords
from labs.accounts.names import local_name
from labs.accounts.rows import make_user, must_leave_an_admin, user_named, user_signing_in
from labs.accounts.tokens import digest, new_token
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
            return account_of(user) if user and user.deleted_at is None else None

    def get(self, name: str) -> Account:
        """By name; ``NotFound``."""
        with self.records.read() as tx:
            return account_of(user_named(tx, name))

    def all(self) -> list[Account]:
        """Every account, by name."""
        with self.records.read() as tx:
            return [
                account_of(user)
                for user in tx.scalars(select(User).where(User.deleted_at.is_(None)).order_by(User.name))
            ]

    def ensure(self, name: str, role: Role = "learner") -> Account:
        """The account of this name, or of one that looks like it, made (without a password) when there is none."""
        with self.records.read() as tx:
            user = user_signing_in(tx, name)
            if user is not None:
                return account_of(user)
        with self.records.begin() as tx:
            user = user_signing_in(tx, name) or make_user(tx, self.now(), name, "", "", role)
            return account_of(user)

    def make(self, name: str, role: Role = "learner") -> Account:
        """A new account without a password; ``Refused`` when the name is taken or is none."""
        with self.records.begin() as tx:
            return account_of(make_user(tx, self.now(), name, "", "", role))

    def register(self, name: str, password: str, *, email: str = "", display_name: str = "") -> Account:
        """A learner's account with a password, by itself: nothing proves that its name and email are its own.

        ``Refused`` when one of them is taken or the password cannot be used.
        """
        hashed = passwords.hashed(password, self.records.home)
        with self.records.begin() as tx:
            user = make_user(tx, self.now(), name, email, display_name, "learner", proven=False)
            user.password_hash = hashed
            return account_of(user)

    def sign_in(self, name_or_email: str, password: str) -> Account:
        """``Refused`` in the same words, and after the same work, whether the name or the password is wrong."""
        with self.records.read() as tx:
            user = user_signing_in(tx, name_or_email)
        if not passwords.matches(user.password_hash if user else None, password, self.records.home) or user is None:
            raise Refused("The name or the password is wrong.")
        if passwords.outdated(user.password_hash):
            self._hash_anew(user, password)
        return account_of(user)

    def set_password(self, name: str, password: str) -> None:
        """``Refused`` when too short."""
        hashed = passwords.hashed(password, self.records.home)
        with self.records.begin() as tx:
            user_named(tx, name).password_hash = hashed

    def set_role(self, name: str, role: Role) -> Account:
        """Change a role; ``Refused`` for the only admin's."""
        with self.records.begin() as tx:
            user = user_named(tx, name)
            if role != "admin":
                must_leave_an_admin(tx, user)
            user.role = role
            return account_of(user)

    def local(self) -> Account:
        """The account of whoever sits at this machine: the same for the command and for the site's one-time link."""
        return self.ensure(local_name(), role="admin")

    # One-time links

    def login_link(self, name: str, minutes: float = 15.0) -> str:
        """A one-time token for the site's sign-in page. Links that have expired are forgotten."""
        token, now = new_token(), self.now()
        with self.records.begin() as tx:
            tx.execute(delete(LoginLink).where(LoginLink.expires_at < now))
            expires = now + timedelta(minutes=minutes)
            user = user_named(tx, name)
            tx.add(LoginLink(user_id=user.id, token_hash=digest(token), created_at=now, expires_at=expires))
        return token

    def redeem(self, token: str) -> Account:
        """Use a token, once; ``Refused``."""
        now = self.now()
        with self.records.begin() as tx:
            mine = (LoginLink.token_hash == digest(token), LoginLink.used_at.is_(None), LoginLink.expires_at >= now)
            user_id = tx.execute(
                update(LoginLink).where(*mine).values(used_at=now).returning(LoginLink.user_id)
            ).scalar()
            if user_id is None:
                raise Refused("This sign-in link has been used or has expired; ask for a new one.")
            return account_of(tx.get_one(User, user_id))

    # Inside

    def _hash_anew(self, user: User, password: str) -> None:
        """Give a password that was hashed at other costs the costs of today, unless it was changed meanwhile."""
        mine = (User.id == user.id, User.password_hash == user.password_hash)
        hashed = passwords.hashed_anew(password, self.records.home)
        with self.records.begin() as tx:
            tx.execute(update(User).where(*mine).values(password_hash=hashed))
