"""A small simulated force, ingested, with a champion for each risk and two months scored: made once a process."""

import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from features.histories.ingest import ingest
from features.histories.store import load_histories
from features.histories.tables import Histories
from features.months import month_of_day
from features.simulation import simulate, write_export
from serving.app import create_app
from serving.commands import chosen_models
from serving.database import open_database
from serving.scoring import score_into_store
from training.dataset import training_set
from training.fitting import fit
from training.judging.metrics import MODEL, RULE
from training.models.risk_model import RiskModel
from training.recipe import STANDARD
from training.registry.registry import Registry

OFFICERS, MONTHS = 150, 24


@functools.cache
def _made() -> Path:
    """The home; tests that change it work on a copy."""
    home = Path(tempfile.mkdtemp(prefix="jingxing-serving-"))
    force = simulate(officers=OFFICERS, months=MONTHS, seed=7)
    write_export(force, home / "export")
    ingest(home / "export", home=home, profile="gongan", strict=False)
    shutil.rmtree(home / "export")
    given = load_histories(home)
    for risk in given.profile.risks:
        registered = Registry(home).register(quick_model(given, risk))
        why = "the tests serve a model that was never judged on folds"
        Registry(home).promote(risk, registered.version, by="the tests", reason=why, force=True)
    last = last_month(given)
    models = chosen_models(Registry(home), given, risk=None)
    score_into_store(given, models, [last - 1, last], open_database(home), advance=lambda _: None, home=home)
    return home


def quick_model(given: Histories, risk: str) -> RiskModel:
    """Return a real model without the judging on folds, which takes most of the time of training."""
    rows = training_set(given, risk)
    fitted = fit(rows, given.profile, recipe=STANDARD.with_settings(num_leaves=4))
    card = {
        "figures": {MODEL: {"average_precision": [0.5, 0.4, 0.6]}, RULE: {"average_precision": [0.1, 0.1, 0.1]}},
        "settings": {}, "trees": fitted.trees, "until": "2024-12",
    }  # fmt: skip
    return RiskModel(risk, fitted.names, fitted.boosters, fitted.calibration, card)


def last_month(given: Histories) -> int:
    return int(month_of_day(given.last_recorded))


@pytest.fixture(scope="session")
def made_home() -> Path:
    """The home that all share: only read it."""
    return _made()


@pytest.fixture(scope="session")
def given(made_home: Path) -> Histories:
    return load_histories(made_home)


@pytest.fixture
def own_home(made_home: Path, tmp_path: Path) -> Path:
    """A copy of the home, to change."""
    return Path(shutil.copytree(made_home, tmp_path / "home"))


@pytest.fixture(scope="session")
def engine(made_home: Path) -> Iterator[Engine]:
    database = open_database(made_home)
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def client(made_home: Path, engine: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(made_home, engine), base_url="http://localhost", follow_redirects=False) as calls:
        yield calls


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")
