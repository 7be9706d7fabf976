"""Names and emails as one space, and places of a roster that wait for their learner.

Of accounts that would share a way to sign in, the older one keeps it: a newer one's name gets a number, a newer one's
email is no longer a way to sign in and is taken from its account.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa
from alembic import op

from labs.accounts.names import key_of

_log = logging.getLogger("kindling")
revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables, and enter everybody there is."""
    op.create_table(
        "identifiers",
        sa.Column("key", sa.String(length=512), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("proven", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_identifiers_user_id", "identifiers", ["user_id"], unique=False)
    op.create_table(
        "places",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("class_id", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=512), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=True),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["class_id"], ["classes.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("class_id", "key"),
        sa.UniqueConstraint("token_hash"),
    )
    _enter(op.get_bind())


def _enter(connection: sa.Connection) -> None:
    users = sa.table("users", *(sa.column(each) for each in ("id", "name", "email", "role", "password_hash")))
    identifiers = sa.table("identifiers", sa.column("key"), sa.column("user_id"), sa.column("proven"))
    rows = connection.execute(sa.select(users).order_by(users.c.id)).all()
    holders: dict[str, int] = {}
    for row in rows:
        name, number = row.name, 2
        while key_of(name) in holders:
            name, number = f"{row.name[:58]}-{number}", number + 1
        if name != row.name:
            _log.warning("the account %r is now %r: its name was another's", row.name, name)
            connection.execute(sa.update(users).where(users.c.id == row.id).values(name=name))
        holders[key_of(name)] = row.id
        if row.email and holders.setdefault(key_of(row.email), row.id) != row.id:
            _log.warning("%r is another's: taken from the account %r", row.email, name)
            connection.execute(sa.update(users).where(users.c.id == row.id).values(email=None))
    known = {row.id: row.role != "learner" or row.password_hash is None for row in rows}
    if holders:
        values = [{"key": key, "user_id": holder, "proven": known[holder]} for key, holder in holders.items()]
        connection.execute(sa.insert(identifiers), values)
