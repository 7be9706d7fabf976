"""Attempts that are graded on forks of their cluster."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column."""
    op.add_column("attempts", sa.Column("forked", sa.Boolean(), nullable=False, server_default=sa.false()))
