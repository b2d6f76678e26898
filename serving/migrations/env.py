"""What Alembic runs: migrates on the connection that serving.database hands over."""

from alembic import context

from serving.access import tables as access
from serving.assessed import tables as assessed
from serving.decisions import tables as decisions
from serving.tables import Table

MODULES = (access, assessed, decisions)
"""Tables are known once their module is imported."""

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
