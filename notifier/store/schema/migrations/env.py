"""Alembic environment. It uses the connection and transaction of the caller."""

from alembic import context

from notifier.store.schema.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=metadata, render_as_batch=True, transaction_per_migration=False
)
context.run_migrations()
