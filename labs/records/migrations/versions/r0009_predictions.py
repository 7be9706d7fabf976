"""What learners predicted, and what then happened."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "predictions",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("lab", sa.String(length=64), nullable=False),
        sa.Column("question", sa.String(length=40), nullable=False),
        sa.Column("option", sa.String(length=40), nullable=True),
        sa.Column("answered_at", sa.DateTime(), nullable=True),
        sa.Column("happened", sa.String(length=40), nullable=True),
        sa.Column("happened_at", sa.DateTime(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "lab", "question"),
    )
    op.create_index("predictions_of_lab", "predictions", ["lab", "user_id"])
