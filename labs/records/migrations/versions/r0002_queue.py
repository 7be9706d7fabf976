"""Attempts that are graded again, and what the queue of attempts asks for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what the queue reads."""
    op.add_column("attempts", sa.Column("regraded", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_attempts_started_at", "attempts", ["started_at"], unique=False)
