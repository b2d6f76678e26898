"""Who is abstained from, and why: such a person has no rank. By whose word the model of a list serves."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the column, and let ranks be empty."""
    with op.batch_alter_table("scores") as scores:
        scores.add_column(sa.Column("evidence", sa.String(length=20), nullable=False, server_default="sufficient"))
        scores.alter_column("rank", existing_type=sa.Integer(), nullable=True)
    op.add_column("batches", sa.Column("served", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Drop the column; who has no rank goes."""
    with op.batch_alter_table("batches") as batches:
        batches.drop_column("served")
    op.execute("DELETE FROM scores WHERE rank IS NULL")
    with op.batch_alter_table("scores") as scores:
        scores.alter_column("rank", existing_type=sa.Integer(), nullable=False)
        scores.drop_column("evidence")
