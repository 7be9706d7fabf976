"""Accounts that were removed, and classes without a join code."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the two columns."""
    op.add_column("users", sa.Column("deleted_at", sa.DateTime(), nullable=True))
    op.add_column("classes", sa.Column("joinable", sa.Boolean(), nullable=False, server_default=sa.true()))
