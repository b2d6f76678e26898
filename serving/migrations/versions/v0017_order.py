"""A draft counts how often it was put into another order; nothing of a published list's unit shares changes either."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

WORDS = "published lists never change"
TABLE = "unit_shares"


def upgrade() -> None:
    """Make the column and the guards."""
    op.add_column("batches", sa.Column("reordered", sa.Integer(), server_default="0", nullable=False))
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def downgrade() -> None:
    """Drop both."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP TRIGGER published_{TABLE} ON {TABLE}")
        op.execute(f"DROP FUNCTION published_{TABLE}()")
    else:
        for change in ("update", "delete", "insert"):
            op.execute(f"DROP TRIGGER published_{TABLE}_{change}")
    op.drop_column("batches", "reordered")  # in place: a table made anew would lose its rows' children


def _guard_sqlite() -> None:
    rows = {"update": "OLD.batch_id, NEW.batch_id", "delete": "OLD.batch_id", "insert": "NEW.batch_id"}
    for change, lists in rows.items():
        op.execute(
            f"CREATE TRIGGER published_{TABLE}_{change} BEFORE {change.upper()} ON {TABLE} "
            f"WHEN EXISTS (SELECT 1 FROM published WHERE batch_id IN ({lists})) "
            f"BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
        )


def _guard_postgresql() -> None:
    refuse = f"RAISE EXCEPTION '{WORDS}' USING ERRCODE = 'integrity_constraint_violation';"
    op.execute(
        f"CREATE FUNCTION published_{TABLE}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP <> 'INSERT' THEN IF EXISTS (SELECT 1 FROM published WHERE batch_id = OLD.batch_id) THEN "
        f"{refuse} END IF; END IF; "
        f"IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; "
        f"IF EXISTS (SELECT 1 FROM published WHERE batch_id = NEW.batch_id) THEN {refuse} END IF; "
        f"RETURN NEW; END $$"
    )
    op.execute(
        f"CREATE TRIGGER published_{TABLE} BEFORE INSERT OR UPDATE OR DELETE ON {TABLE} "
        f"FOR EACH ROW EXECUTE FUNCTION published_{TABLE}()"
    )
