"""What it takes to rebuild a past list: versions of histories, model and policy. The split into post, unit, person."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PARTS = ("part_post", "part_unit", "part_person")


def upgrade() -> None:
    """Make the tables and columns."""
    with op.batch_alter_table("batches") as batches:
        batches.add_column(sa.Column("run", sa.Integer(), nullable=False, server_default="1"))
        batches.add_column(sa.Column("histories_version", sa.String(length=40), nullable=True))
        batches.add_column(sa.Column("known_digest", sa.String(length=64), nullable=True))
    with op.batch_alter_table("scores") as scores:
        for part in PARTS:
            scores.add_column(sa.Column(part, sa.Double(), nullable=True))
    op.create_table(
        "unit_shares",
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("elevated", sa.Double(), nullable=False),
        sa.Column("shared", sa.Double(), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("carried", sa.JSON(), nullable=False),
        sa.Column("levers", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_unit_shares_batches"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("batch_id", "unit", name=op.f("pk_unit_shares")),
    )
    op.create_table(
        "profiles",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_profiles")),
    )
    _make_superseded_lists()


def _make_superseded_lists() -> None:
    op.create_table(
        "superseded_lists",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("risk", sa.String(length=120), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("model_version", sa.String(length=40), nullable=False),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("histories_version", sa.String(length=40), nullable=True),
        sa.Column("known_digest", sa.String(length=64), nullable=True),
        sa.Column("profile_digest", sa.String(length=64), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("base_value", sa.Double(), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("people", sa.JSON(), nullable=False),
        sa.Column("contributions_digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_superseded_lists")),
        sa.UniqueConstraint("risk", "as_of", "run", name=op.f("uq_superseded_lists_risk_as_of_run")),
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("superseded_lists", "profiles", "unit_shares"):
        op.drop_table(table)
    with op.batch_alter_table("scores") as scores:
        for part in PARTS:
            scores.drop_column(part)
    with op.batch_alter_table("batches") as batches:
        for name in ("run", "histories_version", "known_digest"):
            batches.drop_column(name)
