"""Rest plans and their entries."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLES = ("rest_plans", "rest_wishes", "rest_entries", "rest_staffing", "rest_decisions", "rest_standings")
"""In the order in which they are made."""


def upgrade() -> None:
    """Make the tables."""
    _rest_plans()
    _rest_wishes()
    _rest_entries()
    _rest_staffing()
    _rest_decisions()
    _rest_standings()


def downgrade() -> None:
    """Drop them."""
    for name in reversed(TABLES):
        op.drop_table(name)


def _rest_plans() -> None:
    op.create_table(
        "rest_plans",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("first_monday", sa.Date(), nullable=False),
        sa.Column("weeks", sa.Integer(), nullable=False),
        sa.Column("quota", sa.Integer(), nullable=False),
        sa.Column("places", sa.JSON(), nullable=False),
        sa.Column("slack", sa.Double(), nullable=False),
        sa.Column("blackouts", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("pending", sa.Boolean(), nullable=False),
        sa.Column("made_by", sa.String(length=120), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(length=120), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("posts", sa.JSON(), nullable=False),
        sa.Column("solved", sa.JSON(), nullable=True),
        sa.Column("conflict", sa.JSON(), nullable=True),
        sa.Column("staff", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rest_plans")),
    )
    op.create_index(op.f("ix_rest_plans_as_of"), "rest_plans", ["as_of"], unique=False)


def _rest_wishes() -> None:
    op.create_table(
        "rest_wishes",
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("officer_id", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=120), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("post", sa.String(length=200), nullable=False),
        sa.Column("benefit", sa.Double(), nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("basis", sa.String(length=20), nullable=False),
        sa.Column("by_right", sa.Boolean(), nullable=False),
        sa.Column("why", sa.JSON(), nullable=False),
        sa.Column("wait_months", sa.Double(), nullable=True),
        sa.Column("pin", sa.Integer(), nullable=True),
        sa.Column("struck", sa.Boolean(), nullable=False),
        sa.Column("postponed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["rest_plans.id"], name=op.f("fk_rest_wishes_rest_plans"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("plan_id", "officer_id", "kind", name=op.f("pk_rest_wishes")),
    )


def _rest_entries() -> None:
    op.create_table(
        "rest_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("officer_id", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("post", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=120), nullable=False),
        sa.Column("measure", sa.String(length=120), nullable=True),
        sa.Column("takes", sa.String(length=20), nullable=False),
        sa.Column("discreet", sa.Boolean(), nullable=False),
        sa.Column("by_right", sa.Boolean(), nullable=False),
        sa.Column("week", sa.Integer(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["rest_plans.id"], name=op.f("fk_rest_entries_rest_plans"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rest_entries")),
    )
    op.create_index(op.f("ix_rest_entries_officer_id"), "rest_entries", ["officer_id"], unique=False)
    op.create_index(op.f("ix_rest_entries_plan_id_week"), "rest_entries", ["plan_id", "week"], unique=False)
    op.create_index(op.f("ix_rest_entries_state_last_day"), "rest_entries", ["state", "last_day"], unique=False)


def _rest_staffing() -> None:
    op.create_table(
        "rest_staffing",
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("week", sa.Integer(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("away", sa.Integer(), nullable=False),
        sa.Column("resting", sa.Integer(), nullable=False),
        sa.Column("discreet", sa.Integer(), nullable=False),
        sa.Column("off_nights", sa.Integer(), nullable=False),
        sa.Column("needed", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["rest_plans.id"], name=op.f("fk_rest_staffing_rest_plans"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("plan_id", "unit", "week", name=op.f("pk_rest_staffing")),
    )


def _rest_decisions() -> None:
    op.create_table(
        "rest_decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("decision", sa.String(length=20), nullable=False),
        sa.Column("officer_id", sa.String(length=200), nullable=True),
        sa.Column("kind", sa.String(length=120), nullable=True),
        sa.Column("week", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["rest_plans.id"], name=op.f("fk_rest_decisions_rest_plans"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rest_decisions")),
    )
    op.create_index(op.f("ix_rest_decisions_plan_id"), "rest_decisions", ["plan_id"], unique=False)


def _rest_standings() -> None:
    op.create_table(
        "rest_standings",
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("histories_version", sa.String(length=80), nullable=False),
        sa.Column("people", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("as_of", name=op.f("pk_rest_standings")),
    )
