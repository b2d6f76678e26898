"""The commands of this floor: train, models."""

from typing import Any

import click

from features.console import Console, command
from features.errors import Refusal
from features.histories.store import load_histories
from features.months import parse_month
from training.comparison import Incumbent
from training.gate import MODEL
from training.registry import CHAMPION, Registered, Registry
from training.search import Search
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
def _train(
    console: Console, *, risk: str | None, until: str | None, trials: int, minutes: float | None
) -> dict[str, Any]:
    """Judge a model on temporal folds beside its rivals, fit it to everything known, register it."""
    histories = load_histories(console.home)
    end = parse_month(until) if until else None
    wanted = [risk] if risk else list(histories.profile.risks)
    search = Search(trials, minutes, console.home / "mlruns" / "searches")
    with console.progress(f"Training {', '.join(wanted)}", steps_of(wanted, search)) as advance:
        outcomes = train_all(
            histories, wanted, until=end, search=search, incumbents=_incumbents(console, wanted), progress=advance
        )
    found, refused = {}, []
    for name, outcome in outcomes.items():
        if isinstance(outcome, Trained):
            found[name] = _registered(console, outcome)
        elif len(wanted) == 1:
            raise outcome
        else:
            refused.append(f"{name}: {outcome.message()}")
            console.say(refused[-1])
    refused += [f"{name}: version {row['version']}: {row['refused']}" for name, row in found.items() if row["refused"]]
    if refused:
        raise Refusal(
            "Not every model may serve:", refused, hint="What was trained is kept as challenger; see: jingxing models"
        )
    return {"models": found}


train = command("train")(_train)


def _incumbents(console: Console, risks: list[str]) -> dict[str, Incumbent]:
    """The champions that new models are compared with."""
    registry = Registry(console.home)
    champions = {one.risk: one for risk in risks for one in registry.versions(risk) if CHAMPION in one.aliases}
    found = {risk: Incumbent.of_card(one.version, one.card) for risk, one in champions.items()}
    return {risk: one for risk, one in found.items() if one is not None}


def _registered(console: Console, trained: Trained) -> dict[str, Any]:
    console.say(trained.report.text())
    registered, risk = Registry(console.home).register(trained.model), trained.model.risk
    refused = _refusal(registered)
    console.say(f"Registered {risk} version {registered.version} as {'challenger' if refused else 'champion'}.")
    return {"version": registered.version, "champion": not refused, "refused": refused, **trained.report.card()}


def _refusal(registered: Registered) -> str:
    if not registered.objections:
        return ""
    return f"It does not become champion: {'; '.join(registered.objections)}."


@RISK
def _models(console: Console, *, risk: str | None) -> dict[str, Any]:
    """List the registered versions with their aliases and figures."""
    versions = Registry(console.home).versions(risk)
    for one in versions:
        figure = one.card.get("figures", {}).get(MODEL, {}).get("average_precision", [None])[0]
        shown = "–" if figure is None else f"{figure:.3f}"
        aliases = ", ".join(one.aliases) or "–"
        head = f"{one.risk:28} version {one.version:>3}  {aliases:12}"
        console.say(f"{head}  until {one.card.get('until', '–')}  average precision {shown}")
    if not versions:
        console.say("No model has been trained yet: jingxing train")
    return {"models": [one.as_json() for one in versions]}


models = command("models")(_models)
