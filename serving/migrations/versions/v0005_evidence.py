"""Who is abstained from, and why."""

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the columns."""


def downgrade() -> None:
    """Drop them."""
