"""Objections, help and consent, as far as 0007 lacks them."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Say for whose eyes an objection is, until when withdrawn consent counts, and keep scores computed anew."""
    purpose = sa.Column("purpose", sa.String(length=20), server_default="wellness", nullable=False)
    op.add_column("objections", purpose)
    op.add_column("consents", sa.Column("counts_until", sa.Date(), nullable=True))
    op.add_column("consents", sa.Column("rescored_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "rescored",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("risk", sa.String(length=120), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("officer_id", sa.String(length=200), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("score", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rescored")),
    )
    op.create_index("ix_rescored_risk_as_of", "rescored", ["risk", "as_of"], unique=False)
    op.create_index(op.f("ix_rescored_officer_id"), "rescored", ["officer_id"], unique=False)


def downgrade() -> None:
    """Drop them."""
    op.drop_table("rescored")
    with op.batch_alter_table("consents") as table:
        table.drop_column("rescored_at")
        table.drop_column("counts_until")
    with op.batch_alter_table("objections") as table:
        table.drop_column("purpose")
