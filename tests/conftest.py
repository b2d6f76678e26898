"""Fixtures for every test: a small served force, made once a process."""

from tests.serving_fixtures import client, engine, given, made_home, own_home

__all__ = ["client", "engine", "given", "made_home", "own_home"]
