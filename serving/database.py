"""Connections to the score store: SQLite under HOME/var, or PostgreSQL; migrated at start."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session

from features.errors import Refusal

MIGRATIONS = Path(__file__).parent / "migrations"
ONE_MIGRATION_AT_A_TIME = 7_317_331
"""Key of the advisory lock that a migration holds in PostgreSQL."""
WRITES = "jingxing_writes"
CONNECTIONS, MORE = 12, 36
"""Connections kept, and those made beside them under load: a request holds at most three at a time."""


def open_database(home: Path, url: str | None = None) -> Engine:
    """Return an engine on the score store with its tables up to date.

    ``url`` is an SQLAlchemy or PostgreSQL address; absent, ``HOME/var/jingxing.db``. A Refusal says
    when the address is none or nothing answers there.
    """
    engine = _engine(home, url)
    try:
        with engine.begin() as connection:
            migrate(connection)
    except OperationalError as error:
        raise Refusal(
            f"The database {engine.url.render_as_string(hide_password=True)} can't be opened.",
            [str(error.orig).strip().splitlines()[0] if error.orig else "no answer"],
            hint="Check the address after --db (or JINGXING_DB) and that the server runs.",
        ) from None
    return engine


def migrate(connection: Connection) -> None:
    """Bring the tables to the newest form; nothing happens where they have it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_MIGRATION_AT_A_TIME})
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def transaction(engine: Engine, *, writes: bool = True) -> Iterator[Session]:
    """Give a session whose work is committed as a whole, or not at all.

    In SQLite a writer takes its turn at the start: one that had read first could not write after another did.
    """
    with Session(_meant(engine, writes), expire_on_commit=False) as session, session.begin():
        yield session


@lru_cache(maxsize=8)
def _meant(engine: Engine, writes: bool) -> Engine:
    """The engine as its connections are told what they are for; made once, not for every request."""
    return engine.execution_options(**{WRITES: writes})


def one_at_a_time(session: Session, *what: str) -> None:
    """Wait until no other transaction does the same, and keep others from it until the end of this one.

    In SQLite writers take turns at all times.
    """
    if session.get_bind().dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256("|".join(what).encode()).digest()[:8], signed=True)
        session.execute(select(func.pg_advisory_xact_lock(key)))


def _engine(home: Path, url: str | None) -> Engine:
    settings: dict[str, Any] = {
        "hide_parameters": True,  # values of persons never reach an error message or a log
        "json_serializer": partial(json.dumps, ensure_ascii=False, allow_nan=False, separators=(",", ":")),
    }
    if url is None:
        (home / "var").mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{home / 'var' / 'jingxing.db'}"
    try:
        address = make_url(url)
        if address.drivername in ("postgres", "postgresql"):
            address = address.set(drivername="postgresql+psycopg")
        if address.get_backend_name() not in ("sqlite", "postgresql"):
            raise NoSuchModuleError(f"No store of ours: {address.get_backend_name()}.")
        engine = create_engine(address, pool_pre_ping=True, pool_size=CONNECTIONS, max_overflow=MORE, **settings)
    except (ArgumentError, NoSuchModuleError):
        raise Refusal(
            "The address after --db (or JINGXING_DB) is not one of a database.",
            hint="Write sqlite:////path/file.db or postgresql://user@host/name.",
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _steady)
        event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _steady(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin, not by the driver
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "recursive_triggers=ON",
        "busy_timeout=30000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
