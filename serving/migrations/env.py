"""What Alembic runs: migrates on the connection that serving.database hands over."""

from alembic import context

from serving.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
