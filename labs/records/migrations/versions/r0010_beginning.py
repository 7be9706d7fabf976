"""What there was in a cluster when its lab began."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column."""
    op.add_column("sessions", sa.Column("beginning", sa.LargeBinary(), nullable=True))
