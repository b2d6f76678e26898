"""A database copied whole from one engine into another, SQLite or PostgreSQL, as it stands at one moment."""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, inspect, select, text
from sqlalchemy.orm import Session

from features.errors import Refusal
from serving.access.tables import AuditHead
from serving.database import open_database
from serving.tables import Table

AT_A_TIME = 2_000
GUARDED = ("batches", "scores", "reasons", "unit_shares", "published", "profiles")
"""Tables whose rows of published lists the database itself keeps from changing (migrations 0010, 0016, 0017, 0018)."""


def copy_to_file(engine: Engine, target: Path) -> None:
    """Copy a database into a new SQLite file, as it stands at one moment; writers need not stop."""
    if engine.dialect.name == "sqlite":
        with closing(engine.raw_connection()) as source, closing(sqlite3.connect(target)) as copy:
            source.driver_connection.backup(copy)  # type: ignore[union-attr]  # the whole in one step
        return
    snapshot = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with file_database(target) as made, snapshot.connect() as held, made.begin() as into:
        copy_rows(held, into)


@contextmanager
def file_database(file: Path) -> Iterator[Engine]:
    """Give an engine on an SQLite file, its tables up to date; it is closed afterwards."""
    engine = open_database(file.parent, f"sqlite:///{file}")
    try:
        yield engine
    finally:
        engine.dispose()


def copy_rows(source: Connection, target: Connection) -> None:
    """Copy every table, parents first, in place of what the target holds. A Refusal where a table is not ours."""
    tables = Table.metadata.sorted_tables
    strange = set(inspect(source).get_table_names()) - {table.name for table in tables} - {"alembic_version"}
    if strange:
        raise Refusal("The database holds tables of another program; nothing was copied:", sorted(strange))
    with _unguarded(target):
        for table in reversed(tables):
            target.execute(delete(table))
        aware = target.dialect.name != "sqlite"
        for table in tables:
            rows = source.execution_options(yield_per=AT_A_TIME).execute(select(table))
            for part in rows.mappings().partitions(AT_A_TIME):
                target.execute(insert(table), [{name: _in_utc(row[name], aware) for name in row} for row in part])
    if target.dialect.name == "postgresql":
        _set_sequences(target)


@contextmanager
def _unguarded(target: Connection) -> Iterator[None]:
    """Take the guards of published lists away and put them back, within the caller's transaction."""
    if target.dialect.name == "postgresql":
        for table in GUARDED:
            target.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        for table in GUARDED:
            target.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        return
    found = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'published_%'")
    guards = target.execute(found).all()
    for name, _ in guards:
        target.exec_driver_sql(f"DROP TRIGGER {name}")
    yield
    for _, made in guards:
        target.exec_driver_sql(made)


def _in_utc(value: Any, aware: bool) -> Any:
    """Times as UTC: SQLite keeps them without their zone, PostgreSQL gives them in its own."""
    if not isinstance(value, dt.datetime):
        return value
    moment = value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return moment if aware else moment.replace(tzinfo=None)


def _set_sequences(target: Connection) -> None:
    for table in Table.metadata.sorted_tables:
        key = table.autoincrement_column
        if key is not None and target.scalar(text(f"SELECT pg_get_serial_sequence('{table.name}', '{key.name}')")):
            last = f"(SELECT max({key.name}) FROM {table.name})"
            name = f"pg_get_serial_sequence('{table.name}', '{key.name}')"
            target.execute(text(f"SELECT setval({name}, coalesce({last}, 1), {last} IS NOT NULL)"))


def counts(connection: Connection) -> dict[str, int]:
    """Return how many rows each table has."""
    tables = Table.metadata.sorted_tables
    return {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def last_row(session: Session) -> str:
    """Return the last row of the audit chain as ``number:hash``."""
    head = session.get_one(AuditHead, 1)
    return f"{head.number}:{head.hash}"
