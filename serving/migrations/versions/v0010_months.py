"""Published months and notices: who was told, and that published lists never change, held by the database itself."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

WORDS = "published lists never change"
GUARDED = {"batches": "id", "scores": "batch_id", "reasons": "batch_id"}
"""Table -> the column that says of which list a row is."""


def upgrade() -> None:
    """Make the tables and the guards."""
    _deliveries()
    _notices_seen()
    op.create_index(op.f("ix_published_batch_id"), "published", ["batch_id"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def downgrade() -> None:
    """Drop them."""
    for table in GUARDED:
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"DROP TRIGGER published_{table} ON {table}")
            op.execute(f"DROP FUNCTION published_{table}()")
        else:
            for change in ("update", "delete"):
                op.execute(f"DROP TRIGGER published_{table}_{change}")
    op.drop_index(op.f("ix_published_batch_id"), "published")
    op.drop_table("notices_seen")
    op.drop_table("deliveries")


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("published_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("told", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["published_id"], ["published.id"], name=op.f("fk_deliveries_published"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("published_id", "channel", name=op.f("uq_deliveries_published_id_channel")),
    )


def _notices_seen() -> None:
    op.create_table(
        "notices_seen",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("published_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_notices_seen_accounts"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["published_id"], ["published.id"], name=op.f("fk_notices_seen_published"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "published_id", name=op.f("pk_notices_seen")),
    )


def _guard_sqlite() -> None:
    for table, column in GUARDED.items():
        held = f"EXISTS (SELECT 1 FROM published WHERE batch_id = OLD.{column})"
        for change in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER published_{table}_{change} BEFORE {change.upper()} ON {table} "
                f"WHEN {held} BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
            )


def _guard_postgresql() -> None:
    for table, column in GUARDED.items():
        op.execute(
            f"CREATE FUNCTION published_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF EXISTS (SELECT 1 FROM published WHERE batch_id = OLD.{column}) THEN "
            f"RAISE EXCEPTION '{WORDS}' USING ERRCODE = 'integrity_constraint_violation'; END IF; "
            f"IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$"
        )
        op.execute(
            f"CREATE TRIGGER published_{table} BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION published_{table}()"
        )
