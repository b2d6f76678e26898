"""What Alembic runs: migrates on the connection that serving.database hands over."""

from alembic import context

from serving.access import tables as access
from serving.assessed import tables as assessed
from serving.decisions import tables as decisions
from serving.effects import tables as effects
from serving.mentoring import tables as mentoring
from serving.rest import tables as rest
from serving.tables import Table

MODULES = (access, assessed, decisions, effects, mentoring, rest)
"""Tables are known once their module is imported."""

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
