"""The assessment: its head, a row a person, the rows of what is listed."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = ("assessments", "assessed_people", "assessed_rows")
"""In the order in which they are made."""


def upgrade() -> None:
    """Make the tables."""
    _assessments()
    _assessed_people()
    _assessed_rows()


def downgrade() -> None:
    """Drop them."""
    for name in reversed(TABLES):
        op.drop_table(name)


def _assessments() -> None:
    op.create_table(
        "assessments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("profile", sa.String(length=120), nullable=False),
        sa.Column("assessed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("officers", sa.Integer(), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assessments")),
        sa.UniqueConstraint("as_of", name=op.f("uq_assessments_as_of")),
    )


def _assessed_people() -> None:
    op.create_table(
        "assessed_people",
        sa.Column("assessment_id", sa.Integer(), nullable=False),
        sa.Column("officer_id", sa.String(length=200), nullable=False),
        sa.Column("post", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("levels", sa.JSON(), nullable=False),
        sa.Column("tables", sa.JSON(), nullable=False),
        _of_an_assessment("assessed_people"),
        sa.PrimaryKeyConstraint("assessment_id", "officer_id", name=op.f("pk_assessed_people")),
    )
    op.create_index("ix_assessed_people_assessment_id_unit", "assessed_people", ["assessment_id", "unit"])


def _assessed_rows() -> None:
    op.create_table(
        "assessed_rows",
        sa.Column("assessment_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=30), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=True),
        sa.Column("cells", sa.JSON(), nullable=False),
        _of_an_assessment("assessed_rows"),
        sa.PrimaryKeyConstraint("assessment_id", "name", "position", name=op.f("pk_assessed_rows")),
    )
    op.create_index("ix_assessed_rows_assessment_id_name_unit", "assessed_rows", ["assessment_id", "name", "unit"])


def _of_an_assessment(name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["assessment_id"], ["assessments.id"], name=op.f(f"fk_{name}_assessments"), ondelete="CASCADE"
    )
