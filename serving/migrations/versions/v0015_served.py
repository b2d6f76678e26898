"""By whose word the model of a superseded list served: an earlier list tells it as the present one does."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the column."""
    op.add_column("superseded_lists", sa.Column("served", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("superseded_lists") as lists:
        lists.drop_column("served")
