"""Effects of help as estimated, expected benefit by person, tracked figures, draws by lot."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES = ("effects", "expected_benefits", "tracked_figures", "band_draws")
"""In the order in which they are made."""


def upgrade() -> None:
    """Make the tables."""
    _effects()
    _expected_benefits()
    _tracked_figures()
    _band_draws()


def downgrade() -> None:
    """Drop them."""
    for name in reversed(TABLES):
        op.drop_table(name)


def _effects() -> None:
    op.create_table(
        "effects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("action", sa.String(length=120), nullable=False),
        sa.Column("risk", sa.String(length=120), nullable=False),
        sa.Column("since", sa.String(length=7), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("estimable", sa.Boolean(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_effects")),
        sa.UniqueConstraint("as_of", "action", "risk", "since", name=op.f("uq_effects_as_of_action_risk_since")),
    )


def _expected_benefits() -> None:
    op.create_table(
        "expected_benefits",
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("action", sa.String(length=120), nullable=False),
        sa.Column("risk", sa.String(length=120), nullable=False),
        sa.Column("officer_id", sa.String(length=200), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("benefit", sa.Double(), nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("estimable", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("as_of", "action", "risk", "officer_id", name=op.f("pk_expected_benefits")),
    )


def _tracked_figures() -> None:
    op.create_table(
        "tracked_figures",
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("label", sa.JSON(), nullable=True),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=True),
        sa.Column("share", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("as_of", "name", "month", name=op.f("pk_tracked_figures")),
    )


def _band_draws() -> None:
    op.create_table(
        "band_draws",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("action", sa.String(length=120), nullable=False),
        sa.Column("officer_id", sa.String(length=200), nullable=False),
        sa.Column("chance", sa.Double(), nullable=False),
        sa.Column("drawn", sa.Boolean(), nullable=False),
        sa.Column("seed", sa.String(length=40), nullable=False),
        sa.Column("audit_number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_band_draws")),
        sa.UniqueConstraint("as_of", "action", "officer_id", name=op.f("uq_band_draws_as_of_action_officer_id")),
    )
    op.create_index("ix_band_draws_officer_id", "band_draws", ["officer_id"], unique=False)
