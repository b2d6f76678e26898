"""The commands of this floor: score, explain, serve. The demo stands in demo.py."""

import socket
from pathlib import Path
from typing import Any

import click
import uvicorn

from features.console import Console, command
from features.errors import Refusal, WrongUsage
from features.histories.store import load_histories
from features.histories.tables import Histories
from features.months import month_text, parse_month
from serving.app import create_app
from serving.database import open_database
from serving.headers import LOOPBACK
from serving.scoring import KEPT, check_month, score_into_store, write_parquet
from serving.words import number, percent, say
from training.models.risk_model import RiskModel
from training.models.scoring import ScoredCohort, score_cohort
from training.registry.registry import Registry

AS_OF = click.option("--as-of", required=True, metavar="YYYY-MM", help="The month whose last day is the as-of.")
DB = click.option(
    "--db", envvar="JINGXING_DB", default=None, metavar="URL", help="The score store (default: SQLite in HOME/var)."
)


@AS_OF
@DB
@click.option("--risk", default=None, help="One risk; all that have a champion when not given.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=None, help="A Parquet file as well.")
@click.option("--model", "version", default=None, metavar="VERSION|latest", help="Any version, into --out only.")
def _score(
    console: Console, *, as_of: str, db: str | None, risk: str | None, out: Path | None, version: str | None
) -> dict[str, Any]:
    """Score and explain the whole cohort of a month with the champion, into the store.

    With --model, any version is used for evaluation: into the file of --out only, shown to no one.
    """
    month = parse_month(as_of)
    if version and out is None:
        raise WrongUsage(
            "--model scores for evaluation, into a file only.", hint="Say which file with --out FILE.parquet."
        )
    given = load_histories(console.home)
    check_month(given, month)
    models = chosen_models(Registry(console.home), given, risk=risk, version=version)
    with console.progress(f"Scoring {as_of}", len(models)) as advance:
        if version:
            cohorts = [score_cohort(given, model, month) for model in models]
            advance(len(models))
        else:
            told = None if out else KEPT
            database = open_database(console.home, db)
            cohorts = score_into_store(given, models, [month], database, advance=advance, told=told, home=console.home)
    if out is not None:
        write_parquet(out, cohorts)
    for each in cohorts if version is None else ():
        tell_top(console, each, given, count=3)
    if out is not None:
        console.say(f"Wrote {sum(len(each) for each in cohorts):,} rows to {out}.")
    return {
        "as_of": as_of,
        "stored": version is None,
        "out": str(out) if out else None,
        "lists": [summary(each, given) for each in cohorts],
    }


score = command("score")(_score)


@click.argument("officer")
@AS_OF
@click.option("--risk", required=True, help="A risk of the profile.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True)
def _explain(console: Console, *, officer: str, as_of: str, risk: str, lang: str) -> dict[str, Any]:
    """Say one person's reasons in words and numbers."""
    month = parse_month(as_of)
    given = load_histories(console.home)
    check_month(given, month)
    each = score_cohort(given, chosen_models(Registry(console.home), given, risk=risk)[0], month)
    rows = (each.officer_id == officer).nonzero()[0]
    if not len(rows):
        raise Refusal(
            f"'{officer}' is not in the cohort of {as_of}.",
            hint="It needs a posting on the month's last day, and some months in service.",
        )
    row = int(rows[0])
    _tell_person(console, each, given, row=row, language=lang)
    return {
        "officer_id": officer,
        "as_of": as_of,
        "risk": risk,
        "model_version": each.model_version,
        "probability": float(each.probability[row]),
        "low": float(each.low[row]),
        "high": float(each.high[row]),
        "rank": int(each.rank[row]) or None,
        "evidence": str(each.evidence[row]),
        "base_value": each.base_value,
        "margin": float(each.margin[row]),
        "reasons": [reason.as_json() for reason in each.reasons[row]],
    }


explain = command("explain")(_explain)


@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address; others need sign-in.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@DB
def _serve(console: Console, *, host: str, port: int, db: str | None) -> dict[str, Any]:
    """Run the API and the web pages, on this machine only until sign-in exists."""
    bound = bind(host, port)
    return run(console, bound, db=db)


serve = command("serve")(_serve)


def chosen_models(
    registry: Registry, given: Histories, *, risk: str | None, version: str | None = None
) -> list[RiskModel]:
    """Return the champions (or a version) of a risk, or of every risk that has one; a Refusal when none has."""
    known = list(given.profile.risks)
    if risk is not None and risk not in known:
        raise Refusal(f"The profile has no risk '{risk}'.", hint=f"It has: {', '.join(known)}.")
    if risk is not None:
        return [registry.version(risk, version) if version else registry.champion(risk)]
    found = []
    for name in known:
        try:
            found.append(registry.version(name, version) if version else registry.champion(name))
        except Refusal:
            continue
    if not found:
        what = f"version {version}" if version else "champion"
        raise Refusal(f"No risk has a {what} yet.", hint="Train first: jingxing train")
    return found


def tell_top(console: Console, each: ScoredCohort, given: Histories, *, count: int, language: str = "en") -> None:
    """Print the first of a list with their strongest reasons."""
    label = given.profile.label(each.risk, language)
    capacity = given.profile.risks[each.risk].capacity(len(each))
    console.say(f"\n{label}, {month_text(each.as_of)}: {len(each):,} scored, the list holds {capacity}.")
    for row in each.order()[:count]:
        interval = f"{percent(each.low[row])}–{percent(each.high[row])}"
        unit = given.units[each.unit[row]]
        console.say(
            f"{each.rank[row]:>3}. {each.officer_id[row]} ({unit})  {percent(each.probability[row])} ({interval})"
        )
        for reason in [reason for reason in each.reasons[row] if reason.stable][:3]:
            console.say(f"     {'▲' if reason.contribution > 0 else '▼'} {reason.sentence(language)}")


def summary(each: ScoredCohort, given: Histories) -> dict[str, Any]:
    """Return a list in a few figures, for --json."""
    return {
        "risk": each.risk,
        "as_of": month_text(each.as_of),
        "model_version": each.model_version,
        "cohort": len(each),
        "capacity": given.profile.risks[each.risk].capacity(len(each)),
        "mean_probability": float(each.probability.mean()),
    }


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to a loopback address; a Refusal for any other, or where the port is taken."""
    if host not in LOOPBACK:
        raise Refusal(
            f"The service can't be opened to {host}: it has no sign-in yet, and it shows personal data.",
            hint=f"Use --host with one of: {', '.join(LOOPBACK)}.",
        )
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise Refusal(
            f"Port {port} on {host} can't be used ({error.strerror}).", hint=f"Choose another: --port {port + 1}"
        ) from None
    return bound


def run(console: Console, bound: socket.socket, *, db: str | None = None) -> dict[str, Any]:
    """Serve on a bound socket until stopped."""
    host, port = bound.getsockname()[:2]
    app = create_app(console.home, open_database(console.home, db))
    console.say(f"Listening on the loopback address only (there is no sign-in yet): http://{_in_url(host)}:{port}/")
    console.say("Stop with Ctrl+C.")
    # the access log would hold officer ids
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[bound])
    return {"host": host, "port": port}


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _tell_person(console: Console, each: ScoredCohort, given: Histories, *, row: int, language: str) -> None:
    label = given.profile.label(each.risk, language)
    interval = f"{percent(each.low[row])}–{percent(each.high[row])}"
    console.say(f"{each.officer_id[row]} · {label} · {month_text(each.as_of)}")
    rank = f"{each.rank[row]} / {len(each)}" if each.rank[row] else say(f"evidence_{each.evidence[row]}", language)
    console.say(f"{percent(each.probability[row])} ({interval}), {rank}, v{each.model_version}")
    console.say(f"{'base value':>12} {each.base_value:+.4f}")
    rest = [reason.contribution for reason in each.reasons[row] if not reason.stable]
    for reason in each.reasons[row]:
        figures = " / ".join(number(value) for value in (reason.value, reason.usual, reason.peers))
        if reason.stable:
            console.say(f"{'':>12} {reason.contribution:+.4f}  {reason.sentence(language)}  [{figures}]")
    console.say(f"{'':>12} {sum(rest):+.4f}  {say('rest_unnamed', language, n=len(rest))}")
    console.say(f"{'log-odds':>12} {each.margin[row]:+.4f}  =  {each.probability[row]:.4%}")
