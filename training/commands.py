"""The commands of this floor: train, models, backtest."""

import datetime as dt
from pathlib import Path
from typing import Any

import click

from features.console import Console, OutFile, command
from features.errors import Refusal, WrongUsage
from features.histories.reach import reach_of
from features.histories.store import load_histories, stored_profile
from features.months import parse_month
from features.parts.workers import DASK, opened
from training.in_parts import train_in_parts
from training.judging import backtest_report
from training.judging.backtest import EVERY_MONTHS, run_backtest
from training.judging.backtest import steps_of as backtest_steps
from training.judging.comparison import Incumbent
from training.judging.metrics import MODEL
from training.judging.search import Search
from training.registry.impact import assessed, assessments
from training.registry.registry import CHAMPION, Registered, Registry
from training.train import Trained, steps_of, train_all

RISK = click.option("--risk", default=None, help="A risk of the profile; all of them when not given.")


@RISK
@click.option(
    "--until", default=None, metavar="YYYY-MM", help="Use only what was recorded, and labels completed, by then."
)
@click.option(
    "--trials", type=click.IntRange(min=0), default=0, show_default=True, help="So many recipes are tried on the folds."
)
@click.option(
    "--minutes", type=click.FloatRange(min=0), default=None, help="End the search after so many minutes, all in all."
)
@DASK
def _train(
    console: Console, *, risk: str | None, until: str | None, trials: int, minutes: float | None, dask: str | None
) -> dict[str, Any]:
    """Judge a model on temporal folds beside its rivals, fit it to everything known, register it."""
    end = parse_month(until) if until else None
    wanted = [risk] if risk else list(stored_profile(console.home).risks)
    search = Search(trials, minutes, console.home / "mlruns" / "searches")
    with console.progress(f"Training {', '.join(wanted)}", steps_of(wanted, search)) as advance:
        outcomes = _trained(console, wanted, dask, until=end, search=search, progress=advance)
    found = {name: _registered(console, each) for name, each in outcomes.items() if isinstance(each, Trained)}
    untrained = {name: each for name, each in outcomes.items() if isinstance(each, Refusal)}
    if len(wanted) == 1 and untrained:
        raise untrained[wanted[0]]
    refused = [f"{name}: {each.message()}" for name, each in untrained.items()]
    refused += [f"{name}: version {row['version']}: {row['refused']}" for name, row in found.items() if row["refused"]]
    if refused and not found:
        raise Refusal("No model was trained:", refused)
    if refused:
        hint = "What was trained is kept, a refused version as challenger; see: jingxing models"
        raise Refusal("Not every model may serve:", refused, hint=hint)
    return {"models": found}


train = command("train")(_train)


def _trained(console: Console, risks: list[str], dask: str | None, **how: Any) -> dict[str, Trained | Refusal]:
    incumbents = _incumbents(console, risks)
    if dask is None:
        return train_all(load_histories(console.home), risks, incumbents=incumbents, **how)
    with opened(dask) as workers:
        return train_in_parts(console.home, risks, workers, incumbents=incumbents, **how)


def _incumbents(console: Console, risks: list[str]) -> dict[str, Incumbent]:
    """The champions that new models are compared with."""
    registry = Registry(console.home)
    champions = {one.risk: one for risk in risks for one in registry.versions(risk) if CHAMPION in one.aliases}
    found = {risk: Incumbent.of_card(one.version, one.card) for risk, one in champions.items()}
    return {risk: one for risk, one in found.items() if one is not None}


def _registered(console: Console, trained: Trained) -> dict[str, Any]:
    console.say(trained.report.text())
    registry, risk = Registry(console.home), trained.model.risk
    model = assessed(console.home, registry.profile, trained.model) if registry.profile else trained.model
    registered = registry.register(model)
    refused = _refusal(registered)
    console.say(f"Registered {risk} version {registered.version} as {'challenger' if refused else 'champion'}.")
    named = model.card.get("impact_assessment")
    state = next((one.state for one in assessments(console.home) if one.id == named), None)
    if state == "draft":
        console.say(f"Its impact assessment {named} is a draft that nobody has signed: jingxing impact show {named}")
    told = {"version": registered.version, "champion": not refused, "refused": refused, "impact_assessment": named}
    return {**told, **trained.report.card()}


def _refusal(registered: Registered) -> str:
    if not registered.objections:
        return ""
    return f"It does not become champion: {'; '.join(map(str, registered.objections))}."


@RISK
@click.option("--on", "day", default=None, metavar="YYYY-MM-DD", help="Which versions served on that day.")
def _models(console: Console, *, risk: str | None, day: str | None) -> dict[str, Any]:
    """List the registered versions with their aliases and figures, or what served on a day."""
    registry = Registry(console.home)
    _check_risk(registry, risk)
    if day is not None:
        return _on_day(console, registry, risk=risk, day=day)
    versions = registry.versions(risk)
    for one in versions:
        figure = one.card.get("figures", {}).get(MODEL, {}).get("average_precision", [None])[0]
        shown = "–" if figure is None else f"{figure:.3f}"
        aliases = ", ".join(one.aliases) or "–"
        head = f"{one.risk:28} version {one.version:>3}  {aliases:12}"
        console.say(f"{head}  until {one.card.get('until', '–')}  average precision {shown}")
    if not versions:
        console.say("No model has been trained yet: jingxing train")
    return {"models": [one.as_json() for one in versions]}


models = command("models", looks=True)(_models)


def _check_risk(registry: Registry, risk: str | None) -> None:
    """Raise a Refusal for a risk that has no model, where there are models of others."""
    there = sorted({one.risk for one in registry.versions()})
    if risk is not None and there and risk not in there:
        raise Refusal(f"There is no model of '{risk}'.", hint=f"Models there are: {', '.join(there)}.")


def _on_day(console: Console, registry: Registry, *, risk: str | None, day: str) -> dict[str, Any]:
    try:
        date = dt.date.fromisoformat(day)
    except ValueError:
        raise WrongUsage(f"'{day}' is not a day.", hint="Write it as YYYY-MM-DD, for example 2026-03-31.") from None
    if date > dt.date.today():
        raise Refusal(f"{date} has not come yet: what will serve then is not known.", hint="Choose a day up to today.")
    served = {name: spells for name, spells in registry.on_day(date).items() if risk in (None, name)}
    for name, spells in served.items():
        for each in spells:
            forced = f", in spite of the gate: {'; '.join(one['en'] for one in each.objections)}" if each.forced else ""
            console.say(f"{name:28} version {each.version:>3}  since {each.since} by {each.by}: {each.reason}{forced}")
        if not spells:
            console.say(f"{name:28} none")
    if not served:
        console.say(f"Nothing had ever served by {day}.")
    return {"on": day, "production": {name: [vars(each) for each in spells] for name, spells in served.items()}}


@click.option("--risk", required=True, help="A risk of the profile.")
@click.option("--from", "first", required=True, metavar="YYYY-MM", help="The first month whose list is made.")
@click.option("--to", "last", required=True, metavar="YYYY-MM", help="The last one.")
@click.option(
    "--every", type=click.IntRange(1, 60), default=EVERY_MONTHS, show_default=True, help="Months a model serves."
)
@click.option("--version", default=None, help="A registered version instead of models trained as they would have been.")
@click.option("--out", type=OutFile(".csv", ".parquet"), default=None, help="The months, CSV or Parquet.")
def _backtest(
    console: Console, *, risk: str, first: str, last: str, every: int, version: str | None, out: Path | None
) -> dict[str, Any]:
    """Say what past lists would have been, by models that knew no more than was known, and what came of them."""
    months = list(range(parse_month(first), parse_month(last) + 1))
    if not months:
        raise WrongUsage(f"--from {first} is after --to {last}.", hint="Give the earlier month as --from.")
    histories = load_histories(console.home)
    reach_of(histories).check_months(*months)
    model = Registry(console.home).version(risk, version) if version else None
    with console.progress(f"Replaying {risk}", backtest_steps(months, every=every, fixed=bool(model))) as advance:
        found = run_backtest(histories, risk, months, every=every, model=model, progress=advance)
    console.say(backtest_report.text(found))
    if out is not None:
        backtest_report.write_months(found, out)
        console.say(f"Wrote {len(months)} months to {out}.")
    return backtest_report.as_json(found)


backtest = command("backtest")(_backtest)
