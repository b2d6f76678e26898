"""The commands of this floor: score, explain. Others stand beside what they run (demo, serve in running.py)."""

import unicodedata
from pathlib import Path
from typing import Any

import click

from features.console import Console, OutFile, command
from features.errors import Refusal, WrongUsage
from features.histories.store import load_histories, load_roster
from features.histories.tables import Histories
from features.months import month_text, parse_month
from features.parts.blocks import blocks_of
from features.parts.workers import DASK, opened
from serving.database import open_database
from serving.decisions.rescored import rescore_owed
from serving.scored.in_parts import computed_by, score_file, steps
from serving.scored.scoring import KEPT, Computed, check_month, score_into_store, write_parquet
from serving.words import number, percent, say
from training.models.risk_model import RiskModel
from training.models.scoring import ScoredCohort, score_cohort
from training.registry.registry import CHAMPION, Registry
from training.registry.shelf import Version

AS_OF = click.option("--as-of", required=True, metavar="YYYY-MM", help="The month whose last day is the as-of.")
DB = click.option(
    "--db", envvar="JINGXING_DB", default=None, metavar="URL", help="The score store (default: SQLite in HOME/var)."
)


@AS_OF
@DB
@click.option("--risk", default=None, help="One risk; all that have a champion when not given.")
@click.option("--out", type=OutFile(".parquet"), default=None, help="A Parquet file as well.")
@click.option("--model", "version", default=None, metavar="VERSION|latest", help="Any version, into --out only.")
@DASK
def _score(
    console: Console,
    *,
    as_of: str,
    db: str | None,
    risk: str | None,
    out: Path | None,
    version: str | None,
    dask: str | None,
) -> dict[str, Any]:
    """Score and explain the whole cohort of a month with the champion, into the store.

    With --model, any version is used for evaluation: into the file of --out only, shown to no one.
    """
    month = parse_month(as_of)
    if version and out is None:
        raise WrongUsage(
            "--model scores for evaluation, into a file only.", hint="Say which file with --out FILE.parquet."
        )
    if version and dask is not None and out:
        return _scored_in_parts(console, month, dask, risk=risk, version=version, out=out)
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
            known = _computed(console, given, models, month, dask) if dask is not None else None
            cohorts = score_into_store(
                given, models, [month], database, advance=advance, told=told, home=console.home, computed=known
            )
            rescore_owed(database, console.home, [month])
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


def _scored_in_parts(
    console: Console, month: int, dask: str, *, risk: str | None, version: str, out: Path
) -> dict[str, Any]:
    models = chosen_models(Registry(console.home), load_roster(console.home), risk=risk, version=version)
    blocks = blocks_of(console.home)
    with opened(dask) as workers, console.progress("Scoring, blocks", steps(blocks, models)) as advance:
        lists = score_file(workers, blocks, models, month, out, advance=advance)
    console.say(f"Wrote {sum(each['cohort'] for each in lists):,} rows to {out}.")
    return {"as_of": month_text(month), "stored": False, "out": str(out), "blocks": len(blocks), "lists": lists}


def _computed(console: Console, given: Histories, models: list[RiskModel], month: int, dask: str) -> Computed:
    with opened(dask) as workers:
        return computed_by(workers, blocks_of(console.home), given, models, month)


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


def chosen_models(
    registry: Registry, given: Histories, *, risk: str | None, version: str | None = None
) -> list[RiskModel]:
    """Return the champions (or a version) of a risk, or of every risk that has one; a Refusal when none has."""
    known = list(given.profile.risks)
    if risk is not None and risk not in known:
        raise Refusal(f"The profile has no risk '{risk}'.", hint=f"It has: {', '.join(known)}.")
    if risk is not None:
        return _standing(registry, [registry.champion(risk)]) if version is None else [registry.version(risk, version)]
    there = registry.versions()
    names = [name for name in known if any(_meant(one, version) for one in there if one.risk == name)]
    if not names and version and there:
        held = ", ".join(f"{one.risk} {one.version}" for one in there)
        raise Refusal(f"No risk has a version {version}.", hint=f"Versions there are: {held}.")
    if not names:
        raise Refusal(f"No risk has a {'model' if version else 'champion'} yet.", hint="Train first: jingxing train")
    if version:
        return [registry.version(name, version) for name in names]
    return _standing(registry, [registry.champion(name) for name in names])


def has_champion(registry: Registry, given: Histories) -> bool:
    """Return whether any risk of the profile has a champion, whole or not."""
    return any(_meant(one, None) for one in registry.versions() if one.risk in given.profile.risks)


def _meant(one: Version, version: str | None) -> bool:
    return CHAMPION in one.aliases if version is None else version in ("latest", one.version)


def _standing(registry: Registry, models: list[RiskModel]) -> list[RiskModel]:
    """The champions, if the impact assessments of all of them stand: without one a model scores nobody."""
    for model in models:
        registry.must_stand(model.risk)
    return models


def tell_top(console: Console, each: ScoredCohort, given: Histories, *, count: int, language: str = "en") -> None:
    """Print the first of a list with their strongest reasons."""
    label = given.profile.label(each.risk, language)
    capacity = given.profile.risks[each.risk].capacity(len(each))
    told = {"risk": label, "month": month_text(each.as_of), "people": f"{len(each):,}", "capacity": capacity}
    console.say(f"\n{say('told_list', language, **told)}")
    for row in each.order()[:count]:
        interval = f"{percent(each.low[row])}–{percent(each.high[row])}"
        unit = given.units[each.unit[row]]
        place = f"{each.rank[row]}." if each.rank[row] else "—"
        unsure = "" if each.rank[row] else f"  {say('unranked', language)}"
        risk = f"{percent(each.probability[row])} ({interval})"
        console.say(f"{place:>4} {each.officer_id[row]} ({unit})  {risk}{unsure}")
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


def _tell_person(console: Console, each: ScoredCohort, given: Histories, *, row: int, language: str) -> None:
    label = given.profile.label(each.risk, language)
    interval = f"{percent(each.low[row])}–{percent(each.high[row])}"
    console.say(f"{each.officer_id[row]} · {label} · {month_text(each.as_of)}")
    rank = f"{each.rank[row]} / {len(each)}" if each.rank[row] else say(f"evidence_{each.evidence[row]}", language)
    console.say(f"{percent(each.probability[row])} ({interval}), {rank}, v{each.model_version}")
    names = [say("explain_base", language), say("explain_margin", language)]
    indent = max(_width(name) for name in names)
    base, total = (" " * (indent - _width(name)) + name for name in names)
    console.say(f"{base} {each.base_value:+.4f}")
    rest = [reason.contribution for reason in each.reasons[row] if not reason.stable]
    for reason in each.reasons[row]:
        figures = " / ".join(number(value) for value in (reason.value, reason.usual, reason.peers))
        if reason.stable:
            console.say(f"{'':>{indent}} {reason.contribution:+.4f}  {reason.sentence(language)}  [{figures}]")
    console.say(f"{'':>{indent}} {sum(rest):+.4f}  {say('rest_unnamed', language, n=len(rest))}")
    console.say(f"{total} {each.margin[row]:+.4f}  =  {each.probability[row]:.4%}")


def _width(text: str) -> int:
    """How many columns of a terminal a text takes: Chinese signs take two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)
