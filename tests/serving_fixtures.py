"""A small simulated force, ingested, with a champion for each risk and two months scored: made once a process."""

import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from features.histories.ingest import ingest
from features.histories.store import load_histories
from features.histories.tables import Histories
from features.months import month_of_day
from features.simulation import simulate, write_export
from serving.access import accounts, credentials
from serving.access.audit import SYSTEM
from serving.access.caller import COOKIE, HEADER
from serving.access.roles import Role
from serving.access.tables import Account
from serving.app import create_app
from serving.commands import chosen_models
from serving.database import open_database, transaction
from serving.scored.scoring import score_into_store
from serving.tables import Facts
from training.dataset import training_set
from training.fitting import fit
from training.judging.metrics import MODEL, RULE
from training.models.risk_model import RiskModel
from training.recipe import STANDARD
from training.registry.registry import Registry

OFFICERS, MONTHS = 150, 24


@functools.cache
def _made() -> Path:
    """The home; everything that is done with it is done with a copy."""
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
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home that all share: accounts come to it, nothing else changes."""
    return Path(shutil.copytree(_made(), tmp_path_factory.mktemp("shared") / "home"))


@pytest.fixture(scope="session")
def given(made_home: Path) -> Histories:
    return load_histories(made_home)


@pytest.fixture
def own_home(tmp_path: Path) -> Path:
    """A copy of the home as it was made, without any account, to change."""
    return untouched_home(tmp_path / "home")


def untouched_home(where: Path) -> Path:
    """Return a copy of the home as it was made."""
    return Path(shutil.copytree(_made(), where))


@pytest.fixture(scope="session")
def engine(made_home: Path) -> Iterator[Engine]:
    database = open_database(made_home)
    yield database
    database.dispose()


AsRole = Callable[..., TestClient]
HERE = ("127.0.0.1", 50_000)
"""The address that calls come from: probes answer this machine only."""


@pytest.fixture(scope="session")
def as_role(made_home: Path, engine: Engine) -> Iterator[AsRole]:
    """``as_role("wellness")`` is a client signed in as that role: one for each role, made once.

    The commander answers for the unit of ``an_officer``, the officer's own record is that officer's.
    """
    app = create_app(made_home, engine)
    made: dict[str, TestClient] = {}

    def signed_in(role: str) -> TestClient:
        if role not in made:
            made[role] = signed_in_client(app, engine, role)
        return made[role]

    yield signed_in
    for each in made.values():
        each.close()


@pytest.fixture(scope="session")
def client(as_role: AsRole) -> TestClient:
    """The wellness officer's client."""
    return as_role("wellness")


@pytest.fixture(scope="session")
def nobody(made_home: Path, engine: Engine) -> Iterator[TestClient]:
    """A client that is not signed in."""
    app = create_app(made_home, engine)
    with TestClient(app, base_url="http://localhost", follow_redirects=False, client=HERE) as calls:
        yield calls


def signed_in_client(
    app: FastAPI,
    engine: Engine,
    role: str,
    *,
    units: tuple[str, ...] = (),
    officer_id: str | None = None,
    quiet: bool = False,
) -> TestClient:
    """Return a client with the cookie of an account of a role, made if there is none; ``csrf`` is in its headers.

    ``quiet`` answers 500 where the service fails, instead of raising.
    ``client.headers["x-csrf-token"]`` is what forms send as ``csrf``; forget a language with
    ``client.cookies.delete("lang")``, since ``clear()`` would sign out.
    """
    secret = sign_in(engine, role, units=units, officer_id=officer_id)
    calls = TestClient(
        app, base_url="http://localhost", follow_redirects=False, client=HERE, raise_server_exceptions=not quiet
    )
    calls.cookies.set(COOKIE, secret)
    calls.headers[HEADER] = credentials.csrf_token(secret)
    return calls


def sign_in(engine: Engine, role: str, *, units: tuple[str, ...] = (), officer_id: str | None = None) -> str:
    """Return the secret of a cookie for an account of a role, named like it; it is added if there is none."""
    with transaction(engine) as session:
        if session.scalar(select(Account.id).where(Account.name == f"the {role}")) is None:
            officer, unit = an_officer(session)
            units = units or ((unit,) if role == "commander" else ())
            officer_id = officer_id or (officer if role == "officer" else None)
            accounts.add_account(session, SYSTEM, accounts.NewAccount(f"the {role}", Role(role), units, officer_id))
        account = accounts.account_named(session, f"the {role}")
        account.must_change = False
        account.units, account.officer_id = list(units) or account.units, officer_id or account.officer_id
        return credentials.begin(session, account)


def an_officer(session: Session) -> tuple[str, str]:
    """Return the number and the unit of the officer whose account is the officer's; made up in an empty store."""
    statement = select(Facts.officer_id, Facts.unit).order_by(Facts.as_of.desc(), Facts.officer_id).limit(1)
    found = session.execute(statement).one_or_none()
    return (found[0], found[1]) if found else ("000001", "no unit")


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")
