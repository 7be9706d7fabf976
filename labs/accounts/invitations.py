"""Invitations: how the person behind a roster's line shows that it is them, and how somebody new comes in.

Whoever shows the link that the instructor handed to them takes the place, with the account they have or with a new one,
once. Only the token's hash is kept. It refuses to let anybody take a place by what their account is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session as Transaction

from labs.accounts import passwords
from labs.accounts.classes import class_info, class_with_code, taught
from labs.accounts.names import in_order, key_of
from labs.accounts.rows import enter_class, give_email, make_user, prove, user_named
from labs.accounts.tokens import digest, new_token
from labs.accounts.views import Account, ClassInfo, account_of
from labs.errors import NotFound, Refused
from labs.records.database import Database
from labs.records.models import Place, SchoolClass, User

DAYS = 7.0
_OVER = "This invitation has been used or has expired; ask your instructor for a new one."


@dataclass(frozen=True)
class PlaceInfo:
    """A line of a roster that waits for its learner. ``class_name`` is of its class."""

    id: str
    name: str
    email: str
    display_name: str
    class_name: str


@dataclass(frozen=True)
class Invitations:
    """Places and who takes them. What cannot be is ``NotFound`` or ``Refused`` with a sentence."""

    records: Database
    now: Callable[[], datetime]

    def waiting(self, class_id: str, instructor: str) -> list[PlaceInfo]:
        """The places of a class that nobody has taken, by name; for who teaches it."""
        with self.records.read() as tx:
            row = taught(tx, class_id, instructor)
            places = tx.scalars(select(Place).where(Place.class_id == row.id, Place.user_id.is_(None)))
            return sorted((_info(place, row) for place in places), key=lambda one: in_order(one.name))

    def invite(self, class_id: str, instructor: str, place_id: str) -> tuple[PlaceInfo, str]:
        """A place and a token for it; an older one ends."""
        token = new_token()
        with self.records.begin() as tx:
            row = taught(tx, class_id, instructor)
            place = tx.get(Place, place_id)
            if place is None or place.class_id != row.id or place.user_id is not None:
                raise NotFound("nobody of this class is waited for under this address")
            place.token_hash, place.expires_at = digest(token), self.now() + timedelta(days=DAYS)
            return _info(place, row), token

    def dismiss(self, class_id: str, instructor: str, place_id: str) -> None:
        """Wait for this learner no more; the link ends."""
        with self.records.begin() as tx:
            row = taught(tx, class_id, instructor)
            tx.execute(delete(Place).where(Place.id == place_id, Place.class_id == row.id, Place.user_id.is_(None)))

    def shown(self, token: str) -> PlaceInfo:
        """What a token is for, without using it; ``Refused``."""
        with self.records.read() as tx:
            place = tx.scalar(select(Place).where(*self._open(token)))
            if place is None:
                raise Refused(_OVER)
            return _info(place, tx.get_one(SchoolClass, place.class_id))

    def accept(self, token: str, name: str) -> ClassInfo:
        """Take the place with this account; ``Refused``."""
        with self.records.begin() as tx:
            return class_info(tx, self._take(tx, token, user_named(tx, name)), code=False)

    def enrol(
        self, name: str, password: str, *, email: str = "", display_name: str = "", code: str = "", invitation: str = ""
    ) -> tuple[Account, ClassInfo]:
        """A new account and its place in a class, or neither: for who has the class's join code or an invitation.

        Its name and email are what it says of itself. A name that is an address must be its own email.
        """
        if "@" in name and key_of(name) != key_of(email):
            raise Refused("A name with @ looks like an email address; take one without, or your own address.")
        hashed = passwords.hashed(password, self.records.home, name, email, display_name)
        with self.records.begin() as tx:
            row = None if invitation else class_with_code(tx, code)
            user = make_user(tx, self.now(), name, email, display_name, "learner", proven=False)
            user.password_hash = hashed
            if row is None:
                row = self._take(tx, invitation, user)
            else:
                enter_class(tx, self.now(), row, user)
            return account_of(user), class_info(tx, row, code=False)

    def _open(self, token: str) -> tuple[ColumnElement[bool], ...]:
        return (Place.token_hash == digest(token), Place.user_id.is_(None), Place.expires_at >= self.now())

    def _take(self, tx: Transaction, token: str, user: User) -> SchoolClass:
        """One statement decides who is first."""
        taken = update(Place).where(*self._open(token)).values(user_id=user.id, token_hash=None).returning(Place.id)
        place_id = tx.execute(taken).scalar()
        if place_id is None:
            raise Refused(_OVER)
        place = tx.get_one(Place, place_id)
        row = tx.get_one(SchoolClass, place.class_id)
        give_email(tx, user, place.email)
        prove(tx, user, place.name, place.email)
        enter_class(tx, self.now(), row, user)
        return row


def _info(place: Place, row: SchoolClass) -> PlaceInfo:
    return PlaceInfo(place.id, place.name, place.email, place.display_name, row.name)
