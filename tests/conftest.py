"""Fixtures for every test: a small served force, made once a process; empty stores on both databases."""

from tests.serving_fixtures import as_role, client, engine, given, made_home, nobody, own_home
from tests.store_fixtures import postgres_address, store, store_url

__all__ = [
    "as_role", "client", "engine", "given", "made_home", "nobody", "own_home", "postgres_address", "store", "store_url",
]  # fmt: skip
