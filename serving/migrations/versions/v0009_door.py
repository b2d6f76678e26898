"""What the door needs beyond accounts: own secrets, sign-ins at a provider; for which purpose an offer is."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; recommendations that were stored before count as wellness, the narrower purpose."""
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secrets")),
    )
    op.create_table(
        "provider_attempts",
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("browser", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("verifier", sa.String(length=128), nullable=False),
        sa.Column("wanted", sa.String(length=2000), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("state", name=op.f("pk_provider_attempts")),
    )
    with op.batch_alter_table("recommendations") as table:
        table.add_column(sa.Column("purpose", sa.String(length=20), server_default="wellness", nullable=False))


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("recommendations") as table:
        table.drop_column("purpose")
    op.drop_table("provider_attempts")
    op.drop_table("secrets")
