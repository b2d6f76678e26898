"""The demo: the main job from nothing, on a simulated force, in a home of its own."""

import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from features.console import Console, command
from features.errors import Refusal
from features.histories.ingest import ingest
from features.histories.store import load_histories
from features.histories.tables import Histories
from features.months import month_of_day, month_text
from features.simulation import simulate, write_export
from serving.access.audit import Actor
from serving.commands import chosen_models, summary, tell_top
from serving.database import open_database
from serving.months.month import publish_month, run_month
from serving.months.steps import MonthRun, Scope, effects
from serving.running import bind
from serving.running import run as run_service
from serving.tables import Words
from serving.words import say
from training.models.scoring import ScoredCohort
from training.registry.impact import assessed
from training.registry.registry import Registry
from training.train import Trained, steps_of, train_all

PROFILE = "gongan"
SCOPE = Scope(before=1, action="compensatory_leave", every=2, weeks=4)
"""What a minute has room for: lists of one month before the newest, to be published; the effect of one action, from
every other month (jingxing effects tells all); four weeks of rest."""
SHOWN = 10
WE = Actor("jingxing demo", "command line")
"""Who stands in the log for what people decide elsewhere."""
MARK = "demo.json"
"""This file under HOME/var says that everything there was made by the demo and may be made anew."""
FORCED = "演示用的小规模模拟队伍，仅示意流程。 A simulated force of few officers: the demo shows the way all the same."
MADE = ("var", "mlruns")
HELD = ("var/histories", "var/jingxing.db", "mlruns/mlflow.db")
"""Where one of these is, somebody's work is stored."""


@click.option("--officers", type=click.IntRange(100, 20_000), default=1000, show_default=True)
@click.option("--months", type=click.IntRange(24, 120), default=36, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same force.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--no-serve", is_flag=True, help="End when the lists are written.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True)
def _demo(
    console: Console, *, officers: int, months: int, seed: int, port: int, no_serve: bool, lang: str
) -> dict[str, Any]:
    """Do the main job from nothing: simulate, ingest, train, score, explain, recommend; then serve the pages.

    It works in ./var/demo, or in the folder of --home if that holds no other store, and starts afresh each time.
    """
    home = demo_home(console.home, asked=_home_was_given())
    bound = None if no_serve else bind("127.0.0.1", port)
    inside = Console(home=home, json=console.json)
    start_afresh(home, {"officers": officers, "months": months, "seed": seed})
    _make_histories(inside, officers=officers, months=months, seed=seed)
    given = load_histories(home)
    outcomes = _trained(inside, given)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as aside:
        told = aside.submit(tell_effects, home)  # needs no model: told while these are put on file, which one core does
        _register(inside, given, outcomes)
        if found := told.result():
            console.say(f"{say('month_effects', lang)}: {found[lang]}")
    done = newest_month(inside, given, language=lang)
    newest = [each for each in done.cohorts if each.as_of == done.as_of]
    for each in newest:
        tell_top(inside, each, given, count=SHOWN, language=lang)
    console.say(f"\nEverything lies in {home}.")
    if bound is not None:
        run_service(inside, bound)
    else:
        console.say(f"The pages: jingxing --home {home} serve (it tells a first password for each role, once).")
    return {"home": str(home), "lists": [{**summary(each, given), "first": _first(each)} for each in newest]}


demo = command("demo")(_demo)


def demo_home(home: Path, *, asked: bool) -> Path:
    """Return where the demo works: the home that was asked for, else ./var/demo, apart from a real store."""
    return home if asked else home / "var" / "demo"


def start_afresh(home: Path, settings: dict[str, int]) -> None:
    """Remove an earlier demo and leave the demo's mark; a Refusal where something else is stored."""
    mark = home / "var" / MARK
    if not mark.exists() and any((home / name).exists() for name in HELD):
        raise Refusal(
            f"{home} holds a store that is not the demo's; it is left alone.",
            hint="Give the demo a folder of its own: jingxing demo --home DIR",
        )
    for name in MADE:
        shutil.rmtree(home / name, ignore_errors=True)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps(settings) + "\n", encoding="utf-8")


def _home_was_given() -> bool:
    context = click.get_current_context()
    return bool(context.params.get("home") or (context.obj or {}).get("home"))


def _make_histories(console: Console, *, officers: int, months: int, seed: int) -> None:
    with console.progress("Simulating a force", months) as advance:
        force = simulate(officers=officers, months=months, seed=seed, with_truth=False, progress=advance)
    with tempfile.TemporaryDirectory(dir=console.home / "var") as folder:
        write_export(force, Path(folder))
        with console.progress("Ingesting histories", 1) as advance:
            taken = ingest(Path(folder), home=console.home, profile=PROFILE, strict=False)
            advance(1)
    console.say(f"{taken.officers:,} officers, {taken.events_total:,} events, {len(taken.entries):,} in quarantine.")


def _trained(console: Console, given: Histories) -> dict[str, Trained | Refusal]:
    risks = list(given.profile.risks)
    with console.progress(f"Training {', '.join(risks)}", steps_of(risks)) as advance:
        return train_all(given, risks, progress=advance)


def _register(console: Console, given: Histories, outcomes: Mapping[str, Trained | Refusal]) -> None:
    registry = Registry(console.home)
    for risk, outcome in outcomes.items():
        if isinstance(outcome, Refusal):
            raise outcome
        console.say(outcome.report.text())
        registered = registry.register(assessed(console.home, given.profile, outcome.model))
        if registered.objections:
            # a simulated force of few officers may not pass; the demo shows the way all the same
            console.say(f"The gate objects: {'; '.join(map(str, registered.objections))}. The demo forces it.")
            registry.promote(risk, registered.version, by="jingxing demo", reason=FORCED, force=True)


def tell_effects(home: Path) -> Words | None:
    """Tell what help did by the newest month, and store it for the month's run to find; None where it can't."""
    given = load_histories(home)
    newest = int(month_of_day(given.last_recorded))
    run = MonthRun(given, (), newest, home=home, engine=open_database(home), actor=WE, scope=SCOPE)
    with suppress(Refusal):  # the month's run asks again and says why there is none
        return effects(run, lambda _: None)
    return None


def newest_month(console: Console, given: Histories, *, language: str) -> MonthRun:
    """Do the newest month's work and publish the lists of the one before it; return what came of it."""
    newest = int(month_of_day(given.last_recorded))
    models = chosen_models(Registry(console.home), given, risk=None)
    engine = open_database(console.home)
    run = MonthRun(given, models, newest, home=console.home, engine=engine, actor=WE, scope=SCOPE)
    run_month(console, run, language=language)
    published = publish_month(engine, WE, newest - 1, risks=[model.risk for model in models])
    console.say(
        f"Published by the demo, and never changed from now on: {', '.join(published)} {month_text(newest - 1)}."
    )
    return run


def _first(each: ScoredCohort) -> list[dict[str, Any]]:
    return [
        {
            "officer_id": str(each.officer_id[row]),
            "probability": float(each.probability[row]),
            "reasons": [reason.as_json() for reason in each.reasons[row][:3]],
        }
        for row in each.order()[:SHOWN]
    ]
