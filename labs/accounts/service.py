"""Accounts and signing in: by password, or by a one-time link of which only the token's hash is kept.

It refuses to say whether a name or a password was the wrong one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update

from labs.accounts import passwords
from labs.accounts.links import SIGN_IN, add_link, usable
from labs.accounts.names import in_order, local_name
from labs.accounts.resets import BY_MAIL, set_hash
from labs.accounts.rows import make_user, must_leave_an_admin, take_email, user_named, user_signing_in
from labs.accounts.sign_ins import end_all
from labs.accounts.tokens import digest, new_token
from labs.accounts.views import Account, Role, account_of
from labs.errors import Refused, Unavailable
from labs.records.database import Database
from labs.records.models import LoginLink, User

HASH_PATIENCE = 0.5  # seconds that a sign-in waits for keeping its password at the costs of today
DISABLED = "This account is disabled. Ask whoever runs this site."


@dataclass(frozen=True)
class Accounts:
    """Accounts. What cannot be is ``NotFound`` or ``Refused`` with a sentence."""

    records: Database
    now: Callable[[], datetime]

    # Accounts

    def get(self, name: str) -> Account:
        """By name; ``NotFound``."""
        with self.records.read() as tx:
            return account_of(user_named(tx, name))

    def find(self, name_or_email: str) -> Account | None:
        """The account that this signs in, if there is one."""
        with self.records.read() as tx:
            user = user_signing_in(tx, name_or_email)
            return account_of(user) if user else None

    def all(self) -> list[Account]:
        """Every account, by name."""
        with self.records.read() as tx:
            users = tx.scalars(select(User).where(User.deleted_at.is_(None)))
            return sorted(map(account_of, users), key=lambda one: in_order(one.name))

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
        hashed = passwords.hashed(password, self.records.home, name, email, display_name)
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
        if user.disabled_at is not None:
            raise Refused(DISABLED)
        if passwords.outdated(user.password_hash):
            self._hash_anew(user, password)
        return account_of(user)

    def set_password(self, name: str, password: str) -> None:
        """Also signs the account out everywhere and ends its links; ``Refused`` when it cannot be used."""
        account = self.get(name)
        hashed = passwords.hashed(password, self.records.home, name, account.email, account.display_name)
        with self.records.begin() as tx:
            set_hash(tx, user_named(tx, name), hashed, self.now(), "")

    def set_role(self, name: str, role: Role) -> Account:
        """Change a role, and sign out what was signed in with the old one; ``Refused`` for the only admin's."""
        with self.records.begin() as tx:
            user = user_named(tx, name)
            if role != "admin":
                must_leave_an_admin(tx, user)
            if user.role != role:
                user.role = role
                end_all(tx, user.id)
            return account_of(user)

    def disable(self, name: str) -> Account:
        """Let nobody sign in, and sign out whoever is; what was handed in stays. ``Refused`` for the only admin."""
        with self.records.begin() as tx:
            user = user_named(tx, name)
            must_leave_an_admin(tx, user)
            user.disabled_at = user.disabled_at or self.now()
            tx.execute(delete(LoginLink).where(LoginLink.user_id == user.id))
            end_all(tx, user.id)
            return account_of(user)

    def enable(self, name: str) -> Account:
        """Take :meth:`disable` back."""
        with self.records.begin() as tx:
            user = user_named(tx, name)
            user.disabled_at = None
            return account_of(user)

    def free_email(self, name: str) -> str:
        """Take an account's email away, and the links that were mailed to it; which one it was. ``Refused``."""
        with self.records.begin() as tx:
            user = user_named(tx, name)
            email = take_email(tx, user)
            tx.execute(delete(LoginLink).where(LoginLink.user_id == user.id, LoginLink.made_by == BY_MAIL))
            return email

    def local(self) -> Account:
        """The account of whoever sits at this machine: the same for the command and for the site's one-time link."""
        return self.ensure(local_name(), role="admin")

    # One-time links

    def login_link(self, name: str, minutes: float = 15.0) -> str:
        """A one-time token for the sign-in page; an older one of this account ends. ``Refused`` when disabled."""
        token, now = new_token(), self.now()
        with self.records.begin() as tx:
            user = user_named(tx, name)
            if user.disabled_at is not None:
                raise Refused(DISABLED)
            add_link(tx, user, SIGN_IN, digest(token), now, minutes)
        return token

    def redeem(self, token: str) -> Account:
        """Use a token, once; ``Refused``."""
        now, over = self.now(), Refused("This sign-in link has been used or has expired; ask for a new one.")
        mine = (LoginLink.token_hash == digest(token), *usable(SIGN_IN, now))
        with self.records.read() as tx:  # who guesses takes nobody's turn to write
            if tx.scalar(select(LoginLink.id).where(*mine)) is None:
                raise over
        with self.records.begin() as tx:
            user_id = tx.scalar(update(LoginLink).where(*mine).values(used_at=now).returning(LoginLink.user_id))
            if user_id is None:
                raise over
            return account_of(tx.get_one(User, user_id))

    # Inside

    def _hash_anew(self, user: User, password: str) -> None:
        """Give a password that was hashed at other costs the costs of today, unless it was changed meanwhile."""
        mine = (User.id == user.id, User.password_hash == user.password_hash)
        hashed = passwords.hashed_anew(password, self.records.home)
        with suppress(Unavailable), self.records.begin(patience=HASH_PATIENCE) as tx:  # the next sign-in tries again
            tx.execute(update(User).where(*mine).values(password_hash=hashed))
