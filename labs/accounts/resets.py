"""A new password for who has forgotten theirs: by a link that is mailed to its owner, or handed over on paper.

It is used once, within an hour, and signs the account out everywhere; who made it stays on the profile. It refuses to
let anybody into an account that may do more than theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session as Transaction

from labs.accounts import passwords
from labs.accounts.links import RESET, add_link, usable
from labs.accounts.rows import prove, user_named, user_signing_in
from labs.accounts.sign_ins import end_all
from labs.accounts.tokens import digest, new_token
from labs.accounts.views import Account, account_of
from labs.errors import Refused
from labs.records.database import Database
from labs.records.models import LoginLink, User

MINUTES = 60.0
BY_MAIL, BY_COMMAND = "a link that was mailed", "a link that the command made"
_OVER = "This link has been used or has expired; ask for a new one."


@dataclass(frozen=True)
class Resets:
    """Links that set a password, and what they do. ``Refused`` with a sentence."""

    records: Database
    now: Callable[[], datetime]

    def by_mail(self, name_or_email: str) -> tuple[Account, str] | None:
        """Whom to mail a token to; None for nobody: no such account, none with an email, or it is disabled."""
        with self.records.begin() as tx:
            user = user_signing_in(tx, name_or_email)
            if user is None or not user.email or user.disabled_at is not None:
                return None
            return account_of(user), self._add(tx, user, BY_MAIL)

    def by_hand(self, name: str, maker: Account | None) -> str:
        """A token that ``maker`` hands over (None: who runs the command); only admins make one for other roles."""
        with self.records.begin() as tx:
            user = user_named(tx, name)
            if maker is not None and maker.role != "admin" and (maker.role, user.role) != ("instructor", "learner"):
                raise Refused(f"Only an admin can reset the password of {user.name}.")
            if user.disabled_at is not None:
                raise Refused(f"The account {user.name} is disabled.")
            return self._add(tx, user, f"a link that {maker.name} made" if maker else BY_COMMAND)

    def shown(self, token: str) -> Account:
        """Whose password a token sets, without using it."""
        with self.records.read() as tx:
            mine = (LoginLink.token_hash == digest(token), *usable(RESET, self.now()))
            user = tx.scalar(select(User).join(LoginLink, LoginLink.user_id == User.id).where(*mine))
            if user is None:
                raise Refused(_OVER)
            return account_of(user)

    def use(self, token: str, password: str) -> Account:
        """Set the password, once. A password that is refused uses nothing up."""
        account = self.shown(token)
        hashed = passwords.hashed(password, self.records.home, account.name, account.email, account.display_name)
        now = self.now()
        with self.records.begin() as tx:
            mine = (LoginLink.token_hash == digest(token), *usable(RESET, now))
            made_by = tx.scalar(update(LoginLink).where(*mine).values(used_at=now).returning(LoginLink.made_by))
            if made_by is None:
                raise Refused(_OVER)
            user = tx.get_one(User, account.id)
            if made_by == BY_MAIL and user.email:
                prove(tx, user, user.email)  # who reads its mail
            set_hash(tx, user, hashed, now, made_by)
            return account_of(user)

    def _add(self, tx: Transaction, user: User, made_by: str) -> str:
        token = new_token()
        add_link(tx, user, RESET, digest(token), self.now(), MINUTES).made_by = made_by[:100]
        return token


def set_hash(tx: Transaction, user: User, hashed: str, now: datetime, how: str) -> None:
    """Give an account another password: its links end, and it is signed out everywhere. ``how``: "" by its owner."""
    user.password_hash, user.password_set_at, user.password_set_by = hashed, now, how
    tx.execute(delete(LoginLink).where(LoginLink.user_id == user.id))
    end_all(tx, user.id)
