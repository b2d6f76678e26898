"""Fixtures for every test: a small served force, made once a process; empty stores on both databases."""

import pytest

from tests.serving_fixtures import as_role, client, engine, given, made_home, nobody, own_home
from tests.store_fixtures import postgres_address, store, store_url

__all__ = [
    "as_role", "client", "engine", "given", "made_home", "nobody", "own_home", "postgres_address", "store", "store_url",
]  # fmt: skip
LONGEST = ("test_stories", "test_docs", "test_notebooks", "test_training_search", "test_treeshap", "test_consents")
"""Modules that take longest, which go first: else a core is idle while the other one ends them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest modules first; a module's own tests stay as they are."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONGEST)))
