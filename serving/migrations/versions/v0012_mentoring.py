"""Mentorships: rounds, pairs and their steps, who stays without; offers and their steps."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = ("mentoring_rounds", "mentorships", "mentorship_steps", "mentoring_unmatched", "mentoring_said_no",
          "mentoring_kept_apart", "offers", "offer_steps")  # fmt: skip
"""In the order in which they are made."""


def upgrade() -> None:
    """Make the tables."""
    _mentoring_rounds()
    _mentorships()
    _mentorship_steps()
    _mentoring_unmatched()
    _mentoring_said_no()
    _mentoring_kept_apart()
    _offers()
    _offer_steps()


def downgrade() -> None:
    """Drop them."""
    for name in reversed(TABLES):
        op.drop_table(name)


def _mentoring_rounds() -> None:
    op.create_table(
        "mentoring_rounds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("risk", sa.String(length=120), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("mentees", sa.Integer(), nullable=False),
        sa.Column("mentors", sa.Integer(), nullable=False),
        sa.Column("pairs", sa.Integer(), nullable=False),
        sa.Column("kept", sa.Integer(), nullable=False),
        sa.Column("total_fit", sa.Double(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("one_more", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mentoring_rounds")),
    )
    op.create_index(op.f("ix_mentoring_rounds_as_of"), "mentoring_rounds", ["as_of"], unique=False)


def _mentorships() -> None:
    op.create_table(
        "mentorships",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("risk", sa.String(length=120), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("mentee_id", sa.String(length=200), nullable=False),
        sa.Column("mentee_post", sa.String(length=200), nullable=False),
        sa.Column("mentee_unit", sa.String(length=200), nullable=False),
        sa.Column("mentor_id", sa.String(length=200), nullable=False),
        sa.Column("mentor_post", sa.String(length=200), nullable=False),
        sa.Column("mentor_unit", sa.String(length=200), nullable=False),
        sa.Column("fit", sa.Double(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("reason", sa.JSON(), nullable=False),
        sa.Column("instead", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("started_on", sa.Date(), nullable=True),
        sa.Column("next_check_in", sa.Date(), nullable=True),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(["round_id"], ["mentoring_rounds.id"], name=op.f("fk_mentorships_mentoring_rounds")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mentorships")),
    )
    op.create_index("ix_mentorships_mentee_id", "mentorships", ["mentee_id"], unique=False)
    op.create_index("ix_mentorships_mentor_id", "mentorships", ["mentor_id"], unique=False)
    op.create_index(op.f("ix_mentorships_round_id"), "mentorships", ["round_id"], unique=False)
    op.create_index("ix_mentorships_status", "mentorships", ["status"], unique=False)


def _mentorship_steps() -> None:
    op.create_table(
        "mentorship_steps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("mentorship_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=20), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(length=20), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mentorship_id"], ["mentorships.id"], name=op.f("fk_mentorship_steps_mentorships"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mentorship_steps")),
        sa.UniqueConstraint("mentorship_id", "version", name=op.f("uq_mentorship_steps_mentorship_id_version")),
    )


def _mentoring_unmatched() -> None:
    op.create_table(
        "mentoring_unmatched",
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("officer_id", sa.String(length=200), nullable=False),
        sa.Column("side", sa.String(length=10), nullable=False),
        sa.Column("post", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.JSON(), nullable=False),
        sa.Column("needs", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["round_id"],
            ["mentoring_rounds.id"],
            name=op.f("fk_mentoring_unmatched_mentoring_rounds"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("round_id", "officer_id", "side", name=op.f("pk_mentoring_unmatched")),
    )


def _mentoring_said_no() -> None:
    op.create_table(
        "mentoring_said_no",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("officer_id", sa.String(length=200), nullable=False),
        sa.Column("side", sa.String(length=10), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mentoring_said_no")),
    )
    op.create_index(op.f("ix_mentoring_said_no_officer_id"), "mentoring_said_no", ["officer_id"], unique=False)


def _mentoring_kept_apart() -> None:
    op.create_table(
        "mentoring_kept_apart",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("one_id", sa.String(length=200), nullable=False),
        sa.Column("other_id", sa.String(length=200), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mentoring_kept_apart")),
        sa.UniqueConstraint("one_id", "other_id", name=op.f("uq_mentoring_kept_apart_one_id_other_id")),
    )


def _offers() -> None:
    op.create_table(
        "offers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("officer_id", sa.String(length=200), nullable=False),
        sa.Column("post", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("action", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("reason", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("opening", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("owner", sa.String(length=20), nullable=False),
        sa.Column("decides", sa.String(length=20), nullable=False),
        sa.Column("by_right", sa.Boolean(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("renewed_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("recorded_as", sa.String(length=120), nullable=True),
        sa.Column("amount", sa.Double(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("done_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offers")),
    )
    op.create_index("ix_offers_officer_id", "offers", ["officer_id"], unique=False)
    op.create_index("ix_offers_status_due_on", "offers", ["status", "due_on"], unique=False)


def _offer_steps() -> None:
    op.create_table(
        "offer_steps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=20), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name=op.f("fk_offer_steps_offers"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer_steps")),
        sa.UniqueConstraint("offer_id", "version", name=op.f("uq_offer_steps_offer_id_version")),
    )
