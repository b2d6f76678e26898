"""Fixtures for every test: a small served force, made once a process; empty stores on both databases."""

from tests.serving_fixtures import client, engine, given, made_home, own_home
from tests.store_fixtures import postgres_address, store, store_url

__all__ = ["client", "engine", "given", "made_home", "own_home", "postgres_address", "store", "store_url"]
