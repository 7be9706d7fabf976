"""Links that set a password, and when and how one was set."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("users", sa.Column("password_set_at", sa.DateTime(), nullable=True))
    op.add_column("users", sa.Column("password_set_by", sa.String(length=100), nullable=False, server_default=""))
    op.add_column("login_links", sa.Column("purpose", sa.String(length=16), nullable=False, server_default="sign-in"))
    op.add_column("login_links", sa.Column("made_by", sa.String(length=100), nullable=False, server_default=""))
