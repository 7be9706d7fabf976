"""Where an account is signed in: a row each, so that one can be ended from anywhere and every process sees it at once.

A browser holds a token, the row its hash. It ends when it is ended, when nobody has been there for ``idle``, and after
``longest`` in any case. It refuses more than :data:`MAX_OF_ONE` of one account: the one that was away longest ends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session as Transaction

from labs.accounts.tokens import digest, new_token
from labs.accounts.views import Account, account_of
from labs.errors import NotFound
from labs.records.database import Database
from labs.records.models import SignIn, User

MAX_OF_ONE = 20
SEEN_EVERY = timedelta(minutes=5)
"""How much ``seen_at`` may lag, so that reading a page writes nothing most of the time."""

_LET_IN = (User.disabled_at.is_(None), User.deleted_at.is_(None))


@dataclass(frozen=True)
class Place:
    """Somewhere an account is signed in."""

    id: int
    created_at: datetime
    seen_at: datetime
    address: str
    agent: str


@dataclass(frozen=True)
class Found:
    """Whose a token is. ``stale``: it is time to note that they were seen."""

    account: Account
    sign_in: int
    stale: bool


@dataclass(frozen=True)
class SignIns:
    """Begins, finds and ends them."""

    records: Database
    now: Callable[[], datetime]
    idle: timedelta
    longest: timedelta

    def begin(self, account_id: int, address: str = "", agent: str = "") -> str:
        """Sign in; the token for the browser. Those of this account that are over are forgotten."""
        token, now = new_token(), self.now()
        with self.records.begin() as tx:
            tx.execute(delete(SignIn).where(SignIn.user_id == account_id, ~self._lasting()))
            others = (
                select(SignIn.id).where(SignIn.user_id == account_id).order_by(SignIn.seen_at.desc(), SignIn.id.desc())
            )
            tx.execute(delete(SignIn).where(SignIn.id.in_(tx.scalars(others.offset(MAX_OF_ONE - 1)).all())))
            row = SignIn(user_id=account_id, token_hash=digest(token), created_at=now, seen_at=now)
            row.address, row.agent = address[:64], _printable(agent)
            tx.add(row)
        return token

    def whose(self, token: str) -> Found | None:
        """Who shows this token; None when it is over, unknown, or the account is disabled."""
        with self.records.read() as tx:
            mine = (
                SignIn.token_hash == digest(token),
                self._lasting(),
                User.disabled_at.is_(None),
                User.deleted_at.is_(None),
            )
            found = tx.execute(select(SignIn, User).join(User, User.id == SignIn.user_id).where(*mine)).one_or_none()
            if found is None:
                return None
            row, user = found
            return Found(account_of(user), row.id, self.now() - row.seen_at > SEEN_EVERY)

    def seen(self, sign_in: int, address: str) -> None:
        """Note that they are there; a no-op when it is over."""
        with self.records.begin() as tx:
            mine = (SignIn.id == sign_in, self._lasting())
            tx.execute(update(SignIn).where(*mine).values(seen_at=self.now(), address=address[:64]))

    def lasts(self, sign_in: int) -> bool:
        """Whether it still is: for whatever stays open longer than a request."""
        return sign_in in self.lasting([sign_in])

    def lasting(self, sign_ins: Collection[int]) -> set[int]:
        """Which of these still are, in one look."""
        with self.records.read() as tx:
            mine = (SignIn.id.in_(sign_ins), self._lasting(), *_LET_IN)
            return set(tx.scalars(select(SignIn.id).join(User, User.id == SignIn.user_id).where(*mine)))

    def of(self, account_id: int) -> list[Place]:
        """Everywhere an account is signed in, the latest first."""
        with self.records.read() as tx:
            query = select(SignIn).where(SignIn.user_id == account_id, self._lasting())
            rows = tx.scalars(query.order_by(SignIn.seen_at.desc(), SignIn.id.desc()))
            return [Place(row.id, row.created_at, row.seen_at, row.address, row.agent) for row in rows]

    def end(self, account_id: int, sign_in: int) -> None:
        """Sign out there; ``NotFound`` when it is over or another account's."""
        with self.records.begin() as tx:
            mine = (SignIn.id == sign_in, SignIn.user_id == account_id)
            if tx.scalar(delete(SignIn).where(*mine).returning(SignIn.id)) is None:
                raise NotFound("you are not signed in there")

    def end_all(self, account_id: int) -> None:
        """Sign out everywhere."""
        with self.records.begin() as tx:
            end_all(tx, account_id)

    def _lasting(self) -> ColumnElement[bool]:
        now = self.now()
        return (SignIn.seen_at >= now - self.idle) & (SignIn.created_at >= now - self.longest)


def end_all(tx: Transaction, account_id: int) -> None:
    """Sign an account out everywhere, as part of what else happens to it."""
    tx.execute(delete(SignIn).where(SignIn.user_id == account_id))


def _printable(agent: str) -> str:
    return "".join(each for each in agent if each.isprintable())[:300]
