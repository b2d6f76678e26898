"""What published lists need is not emptied at a stroke either, and the profiles that they were made with stay."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

WORDS = "published lists never change"
EMPTIED = ("published", "batches", "scores", "reasons", "unit_shares", "profiles")
NEEDED = (
    "EXISTS (SELECT 1 FROM published JOIN batches ON batches.id = published.batch_id "
    "WHERE batches.profile_digest = OLD.digest)"
)


def upgrade() -> None:
    """Make the guards; SQLite knows no TRUNCATE."""
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
        return
    op.execute(
        f"CREATE TRIGGER published_profiles_delete BEFORE DELETE ON profiles "
        f"WHEN {NEEDED} BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
    )


def downgrade() -> None:
    """Drop them."""
    if op.get_bind().dialect.name != "postgresql":
        op.execute("DROP TRIGGER published_profiles_delete")
        return
    op.execute("DROP TRIGGER published_profiles ON profiles")
    op.execute("DROP FUNCTION published_profiles()")
    for table in EMPTIED:
        op.execute(f"DROP TRIGGER published_{table}_truncate ON {table}")
    op.execute("DROP FUNCTION published_truncate()")


def _guard_postgresql() -> None:
    refuse = f"RAISE EXCEPTION '{WORDS}' USING ERRCODE = 'integrity_constraint_violation';"
    op.execute(
        f"CREATE FUNCTION published_profiles() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {NEEDED} THEN {refuse} END IF; RETURN OLD; END $$"
    )
    op.execute(
        "CREATE TRIGGER published_profiles BEFORE DELETE ON profiles FOR EACH ROW EXECUTE FUNCTION published_profiles()"
    )
    op.execute(
        f"CREATE FUNCTION published_truncate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF EXISTS (SELECT 1 FROM published) THEN {refuse} END IF; RETURN NULL; END $$"
    )
    for table in EMPTIED:
        op.execute(
            f"CREATE TRIGGER published_{table}_truncate BEFORE TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION published_truncate()"
        )
