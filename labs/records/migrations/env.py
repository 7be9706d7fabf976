"""Alembic's entry: run the migrations on the connection that :func:`labs.records.database.migrate` gives."""

from __future__ import annotations

from alembic import context

from labs.records.models import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
