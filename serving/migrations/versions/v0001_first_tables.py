"""The first tables: lists, scores, reasons, facts, recommendations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of the score store."""
    op.create_table(
        "batches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("risk", sa.String(length=120), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("model_version", sa.String(length=40), nullable=False),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cohort", sa.Integer(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("horizon_months", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("recorded_until", sa.Date(), nullable=False),
        sa.Column("profile_digest", sa.String(length=64), nullable=False),
        sa.Column("base_value", sa.Double(), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("post_means", sa.JSON(), nullable=False),
        sa.Column("months", sa.JSON(), nullable=False),
        sa.Column("medians", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.UniqueConstraint("risk", "as_of", name=op.f("uq_batches_risk_as_of")),
    )
    op.create_table(
        "facts",
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("officer_id", sa.String(length=200), nullable=False),
        sa.Column("post", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("tenure_months", sa.Integer(), nullable=False),
        sa.Column("dimensions", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("as_of", "officer_id", name=op.f("pk_facts")),
    )
    op.create_table(
        "recommendations",
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("officer_id", sa.String(length=200), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("reason", sa.JSON(), nullable=False),
        sa.Column("opening", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("why", sa.JSON(), nullable=False),
        sa.Column("owner", sa.String(length=20), nullable=False),
        sa.Column("decides", sa.String(length=20), nullable=False),
        sa.Column("by_right", sa.Boolean(), nullable=False),
        sa.Column("mentor_id", sa.String(length=200), nullable=True),
        sa.Column("benefit", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("as_of", "officer_id", "position", name=op.f("pk_recommendations")),
    )
    op.create_index("ix_recommendations_officer_id", "recommendations", ["officer_id"], unique=False)
    op.create_table(
        "scores",
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("officer_id", sa.String(length=200), nullable=False),
        sa.Column("post", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("previous_rank", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_scores_batches"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("batch_id", "officer_id", name=op.f("pk_scores")),
    )
    op.create_index("ix_scores_batch_id_rank", "scores", ["batch_id", "rank"], unique=False)
    op.create_index("ix_scores_officer_id", "scores", ["officer_id"], unique=False)
    op.create_table(
        "reasons",
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("officer_id", sa.String(length=200), nullable=False),
        sa.Column("contributions", sa.JSON(), nullable=False),
        sa.Column("strongest", sa.JSON(), nullable=False),
        sa.Column("history", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id", "officer_id"],
            ["scores.batch_id", "scores.officer_id"],
            name=op.f("fk_reasons_scores"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("batch_id", "officer_id", name=op.f("pk_reasons")),
    )


def downgrade() -> None:
    """Drop them all."""
    op.drop_table("reasons")
    op.drop_index("ix_scores_officer_id", table_name="scores")
    op.drop_index("ix_scores_batch_id_rank", table_name="scores")
    op.drop_table("scores")
    op.drop_index("ix_recommendations_officer_id", table_name="recommendations")
    op.drop_table("recommendations")
    op.drop_table("facts")
    op.drop_table("batches")
