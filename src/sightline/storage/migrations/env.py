"""Run by Alembic: use the connection, and the transaction, of whoever asked."""

from alembic import context

from sightline.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
