"""Grants of privileged providers: which there are, a new one, one taken back. For admins and the command alone.

It refuses a grant to nobody in particular, and one that nobody needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from labs.access.rules import AccessRules
from labs.accounts.rows import user_named
from labs.errors import NotFound, Refused
from labs.records.database import Database
from labs.records.models import ProviderGrant, SchoolClass, User

ROLES = ("learner", "instructor")
Scope = Literal["role", "class", "account"]


@dataclass(frozen=True)
class Grant:
    """``provider`` is open to ``subject``: a role, a class's id or an account's name. ``shown`` is for people."""

    id: int
    provider: str
    scope: Scope
    subject: str
    shown: str


@dataclass(frozen=True)
class Grants:
    """Whoever calls this must be an admin, or sit at the machine."""

    records: Database
    rules: AccessRules
    now: Callable[[], datetime]

    def privileged(self) -> list[str]:
        """The providers that nobody but admins may use without a grant."""
        return [name for name in self.rules.providers.names() if self.rules.providers.privileged(name)]

    def all(self) -> list[Grant]:
        """Every grant, by provider and what is shown."""
        with self.records.read() as tx:
            return _all(tx)

    def allow(self, provider: str, scope: str, subject: str) -> Grant:
        """Open a provider; twice is fine. ``NotFound`` when there is no such class (id) or account (name); ``Refused``
        for another role or scope."""
        if not self.rules.providers.privileged(provider):
            raise Refused(f"{provider} is open to everybody as it is.")
        with self.records.begin() as tx:
            row = ProviderGrant(provider=provider, created_at=self.now(), **_column(tx, scope, subject))
            same = (row.provider, row.role, row.class_id, row.user_id)
            found = next((one for one in tx.scalars(select(ProviderGrant)) if _key(one) == same), None)
            if found is None:
                tx.add(row)
                tx.flush()
            made = (found or row).id
            return next(one for one in _all(tx) if one.id == made)

    def revoke(self, grant: int) -> Grant:
        """Take a grant back and have the labs stopped that it alone allowed, at once. ``NotFound``."""
        with self.records.begin() as tx:
            found, row = next((one for one in _all(tx) if one.id == grant), None), tx.get(ProviderGrant, grant)
            if found is None or row is None:
                raise NotFound("there is no such grant; it may have been taken back already")
            tx.delete(row)
            tx.flush()
            self.rules.stop_withdrawn(tx)
            return found


def _column(tx: Transaction, scope: str, subject: str) -> dict[str, str | int]:
    if scope == "role":
        if subject not in ROLES:
            raise Refused(f"There is no role {subject!r} to let in; there are: {', '.join(ROLES)}.")
        return {"role": subject}
    if scope == "class":
        if tx.get(SchoolClass, subject) is None:
            raise NotFound("there is no such class")
        return {"class_id": subject}
    if scope == "account":
        return {"user_id": user_named(tx, subject).id}
    raise Refused("Say whom to let in: a role, a class or an account.")


def _key(row: ProviderGrant) -> tuple[str, str | None, str | None, int | None]:
    return row.provider, row.role, row.class_id, row.user_id


def _all(tx: Transaction) -> list[Grant]:
    rows = tx.execute(
        select(ProviderGrant, SchoolClass.name, User.name)
        .outerjoin(SchoolClass, ProviderGrant.class_id == SchoolClass.id)
        .outerjoin(User, ProviderGrant.user_id == User.id)
    )
    found = [_grant(row, of_class or "", of_user or "") for row, of_class, of_user in rows]
    return sorted(found, key=lambda one: (one.provider, one.shown, one.id))


def _grant(row: ProviderGrant, class_name: str, account: str) -> Grant:
    if row.role is not None:
        return Grant(row.id, row.provider, "role", row.role, f"every {row.role}")
    if row.class_id is not None:
        return Grant(row.id, row.provider, "class", row.class_id, f"the class {class_name}")
    return Grant(row.id, row.provider, "account", account, account)
