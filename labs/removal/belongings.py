"""What hangs from an account in the records, and what becomes of each when the account is removed.

A table that says *on delete cascade* of its account is the person's and goes at once, whichever it is; exceptions are
named here. A test asks for every table that has an account which of the three it is.
"""

from __future__ import annotations

from sqlalchemy import Table, delete
from sqlalchemy.orm import Session as Transaction

from labs.records.models import Activity, Base, Membership, Place, User

IN_PART = {Membership.__tablename__, Activity.__tablename__}
"""Looked at by :mod:`labs.removal.accounts`: what a class's record needs of them stays."""
STAYS = {"sessions", "attempts"}
"""Work: stays with its class, else goes when its clusters are gone (:mod:`labs.removal.forget`)."""


def tables_of_accounts() -> list[tuple[Table, str, str]]:
    """Every table that has an account, the column, and what its foreign key says on delete."""
    return [
        (table, key.parent.name, key.ondelete or "")
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name == User.__tablename__
    ]


def drop(tx: Transaction, user_id: int) -> None:
    """Remove what is the person's and nobody else's."""
    for table, column, on_delete in tables_of_accounts():
        if on_delete == "CASCADE" and table.name not in IN_PART:
            tx.execute(delete(table).where(table.c[column] == user_id))
    tx.execute(delete(Place).where(Place.user_id == user_id))  # the roster's line has their name and email
