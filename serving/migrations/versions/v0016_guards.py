"""Published lists: nothing is added to one either, and the row that says it is published stays, by the database."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

WORDS = "published lists never change"
GUARDED = {"batches": "id", "scores": "batch_id", "reasons": "batch_id"}
"""Table -> the column that says of which list a row is."""
SAME = "risk = NEW.risk AND as_of = NEW.as_of"


def upgrade() -> None:
    """Put stronger guards in place of those of 0010."""
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def downgrade() -> None:
    """Leave the guards of 0010."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER published_published ON published")
        op.execute("DROP FUNCTION published_published()")
        for table in GUARDED:
            _on_postgresql(table, "UPDATE OR DELETE")
        return
    for change in ("update", "delete", "insert"):
        op.execute(f"DROP TRIGGER published_published_{change}")
    for table, column in GUARDED.items():
        op.execute(f"DROP TRIGGER published_{table}_insert")
        op.execute(f"DROP TRIGGER published_{table}_update")
        _on_sqlite(table, "update", f"EXISTS (SELECT 1 FROM published WHERE batch_id = OLD.{column})")


def _guard_sqlite() -> None:
    for table, column in GUARDED.items():
        op.execute(f"DROP TRIGGER published_{table}_update")
        for change, rows in (("update", f"OLD.{column}, NEW.{column}"), ("insert", f"NEW.{column}")):
            _on_sqlite(table, change, f"EXISTS (SELECT 1 FROM published WHERE batch_id IN ({rows}))")
    for change in ("update", "delete"):
        _on_sqlite("published", change, "1")
    _on_sqlite("published", "insert", f"EXISTS (SELECT 1 FROM published WHERE id = NEW.id OR ({SAME}))")


def _on_sqlite(table: str, change: str, held: str) -> None:
    op.execute(
        f"CREATE TRIGGER published_{table}_{change} BEFORE {change.upper()} ON {table} "
        f"WHEN {held} BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
    )


def _guard_postgresql() -> None:
    refuse = f"RAISE EXCEPTION '{WORDS}' USING ERRCODE = 'integrity_constraint_violation';"
    for table, column in GUARDED.items():
        op.execute(
            f"CREATE OR REPLACE FUNCTION published_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF TG_OP <> 'INSERT' THEN IF EXISTS (SELECT 1 FROM published WHERE batch_id = OLD.{column}) THEN "
            f"{refuse} END IF; END IF; "
            f"IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; "
            f"IF EXISTS (SELECT 1 FROM published WHERE batch_id = NEW.{column}) THEN {refuse} END IF; "
            f"RETURN NEW; END $$"
        )
        _on_postgresql(table, "INSERT OR UPDATE OR DELETE")
    op.execute(f"CREATE FUNCTION published_published() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {refuse} END $$")
    op.execute(
        "CREATE TRIGGER published_published BEFORE UPDATE OR DELETE ON published "
        "FOR EACH ROW EXECUTE FUNCTION published_published()"
    )


def _on_postgresql(table: str, changes: str) -> None:
    op.execute(f"DROP TRIGGER published_{table} ON {table}")
    op.execute(
        f"CREATE TRIGGER published_{table} BEFORE {changes} ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION published_{table}()"
    )
