"""Predictions as a service: of histories, by our kernel and by pred_contrib; of feature rows, beside MLflow's server.

All are real servers over one home with champions of 400 trees a booster, 63 leaves and 150 inputs (bench_force.grown).
"""

import json
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow.lightgbm
import numpy as np
import pandas as pd

from features.engine import feature_rows
from features.histories.store import load_histories
from features.histories.tables import Histories
from features.months import month_text, parse_month
from serving.access import accounts, credentials
from serving.access.audit import SYSTEM
from serving.access.roles import Role
from serving.database import open_database, transaction
from tests.bench_force import MONTH, ROOT, grown
from tests.bench_load import Ask, Plan
from tests.bench_service import NO_LIMIT, Measured, Server, free_port, measured, running, service
from tests.export_files import as_sent
from training.registry.registry import Registry

RISK = "burnout"
PERSONS = 20
SECONDS = 3.0
STARTING = 10.0
"""Not counted: in this time the processes that score beside the server have begun."""
CONNECTIONS = 10
JSON = ("content-type", "application/json")


def explained(rounds: int) -> tuple[list[Measured], list[Measured]]:
    """Return what POST /predictions took in each round with our kernel and with LightGBM's pred_contrib."""
    asks = _of_histories(load_histories(grown()), token(grown()))
    with service(grown()) as ours, _with_pred_contrib(grown()) as theirs:
        the_same(ours, theirs, asks[0])
        return in_turns([(ours, asks), (theirs, asks)], rounds)


def only_predicted(rounds: int) -> tuple[list[Measured], list[Measured]]:
    """Return what a row of features took in each round here and under `mlflow models serve`."""
    model = Registry(grown()).champion(RISK)
    given = load_histories(grown())
    rows = feature_rows(given, [parse_month(MONTH)], names=model.names).values[:PERSONS]
    told = [[None if np.isnan(cell) else float(cell) for cell in row] for row in rows]
    headers = token(grown())
    path = f"/api/v1/predictions/{RISK}"
    mine = [_ask(path, {"columns": model.names, "rows": [row]}, headers) for row in told]
    split = [_ask("/invocations", {"dataframe_split": {"columns": model.names, "data": [row]}}, ()) for row in told]
    with service(grown()) as ours, _mlflow(grown()) as theirs:
        return in_turns([(ours, mine), (theirs, split)], rounds)


def in_turns(sides: list[tuple[Server, list[Ask]]], rounds: int) -> tuple[list[Measured], list[Measured]]:
    """Return what each of two servers took, one after the other, round by round; a first time is not counted."""
    plans = [Plan(server.port, tuple(asks), connections=CONNECTIONS, seconds=SECONDS) for server, asks in sides]
    for (server, _), plan in zip(sides, plans, strict=True):
        measured(server, replace(plan, seconds=STARTING))
    found = [[measured(server, plan) for (server, _), plan in zip(sides, plans, strict=True)] for _ in range(rounds)]
    return [one[0] for one in found], [one[1] for one in found]


def the_same(ours: Server, theirs: Server, ask: Ask) -> None:
    """Check that both explainers answer alike, or raise."""
    mine, other = (json.loads(_answer(server, ask))["predictions"] for server in (ours, theirs))
    for one, two in zip(mine, other, strict=True):
        pushes = [{reason["measure"]: reason["contribution"] for reason in each["reasons"]} for each in (one, two)]
        if pushes[0].keys() != pushes[1].keys() or any(
            abs(pushes[0][key] - pushes[1][key]) > 1e-9 for key in pushes[0]
        ):
            raise RuntimeError("The two explainers do not answer alike.")


def token(home: Path) -> tuple[tuple[str, str], ...]:
    """Return the header of a program that may have histories scored."""
    engine = open_database(home)
    with transaction(engine) as session:
        name = f"bench-{free_port()}-{id(session)}"
        accounts.add_account(session, SYSTEM, accounts.NewAccount(name, Role.DATA_SCIENTIST))
        session.flush()
        secret = credentials.add_token(session, SYSTEM, name, label="benchmark")
    engine.dispose()
    return (("authorization", f"Bearer {secret}"),)


def _of_histories(given: Histories, headers: tuple[tuple[str, str], ...]) -> list[Ask]:
    """A request for each of some persons who are at work in the month: all that is recorded of them, as JSON."""
    there = np.flatnonzero(np.isin(np.arange(len(given.officers)), _at_work(given)))
    chosen = there[:: len(there) // PERSONS][:PERSONS]
    as_of = {"as_of": month_text(parse_month(MONTH))}
    sent = (as_sent(given, str(given.officers[one]))[1] for one in chosen)
    return [_ask("/api/v1/predictions", {**each, **as_of}, headers) for each in sent]


def _at_work(given: Histories) -> Any:
    return feature_rows(given, [parse_month(MONTH)], names=["tenure__months"]).officer


def _ask(path: str, body: dict[str, Any], headers: tuple[tuple[str, str], ...]) -> Ask:
    return Ask(path, "POST", json.dumps(body, ensure_ascii=False), (*headers, JSON))


@contextmanager
def _with_pred_contrib(home: Path) -> Iterator[Server]:
    """Give `jingxing serve` with the explainer swapped."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench_contrib", "--home", str(home), "serve", "--port", str(port)]
    with running([*command, "--calls-a-minute", NO_LIMIT], port) as server:
        yield server


@contextmanager
def _mlflow(home: Path) -> Iterator[Server]:
    """Give `mlflow models serve` as its documentation says, of one of the model's three boosters: it does less."""
    folder = ROOT / "mlflow-model"
    shutil.rmtree(folder, ignore_errors=True)
    model, port = Registry(home).champion(RISK), free_port()
    rows = np.zeros((1, len(model.names)))
    table = pd.DataFrame(rows, columns=list(model.names))
    signature = mlflow.models.infer_signature(table, np.zeros(1))
    mlflow.lightgbm.save_model(model.boosters[0], str(folder), signature=signature)
    program = Path(sys.executable).parent / "mlflow"
    command = [program, "models", "serve", "-m", folder, "-p", str(port), "--env-manager", "local"]
    with running(command, port, "/ping") as server:
        yield server


def _answer(server: Server, ask: Ask) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{ask.path}", data=ask.body.encode(), headers=dict(ask.headers)
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return str(answer.read().decode())
