"""The command month: the monthly run in one, and the publication of its lists."""

from dataclasses import asdict
from typing import Any

import click

from features.console import Console, command
from features.histories.store import load_histories
from features.months import month_end, parse_month
from serving.access.audit import Actor
from serving.commands import DB, chosen_models, tell_top
from serving.database import open_database
from serving.months.month import MonthList, lists_of, publish_month, run_month, send_all
from serving.months.steps import STEPS, MonthRun
from serving.scored.scoring import check_month
from training.registry.history import os_user
from training.registry.registry import Registry

SHOWN = 3
LEFT_OUT = [step.name for step in STEPS if not step.must]
"""Steps that a month can do without."""


@click.argument("month", metavar="YYYY-MM")
@click.option("--publish", is_flag=True, help="Publish the lists: they never change from then on.")
@click.option("--despite", default="", metavar="REASON", help="Publish although the monitor says to hold back.")
@click.option("--by", default=os_user, show_default="you", help="Who publishes.")
@click.option("--without", multiple=True, type=click.Choice(LEFT_OUT), help="Leave a step out (repeatable).")
@DB
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True)
def _month(
    console: Console, *, month: str, publish: bool, despite: str, by: str, without: tuple[str, ...], db: str | None,
    lang: str,
) -> dict[str, Any]:  # fmt: skip
    """Do the month's work: effects, lists with reasons, offers and flags, assessment, monitor, mentoring, rest plan.

    Lists are drafts until published. Run again, it changes nothing that people have before them. A step that the
    histories do not allow (too few months for effects) says so and does not hold up the others.
    """
    as_of = parse_month(month)
    given = load_histories(console.home)
    check_month(given, as_of)
    models = chosen_models(Registry(console.home), given, risk=None)
    engine = open_database(console.home, db)
    work = MonthRun(given, models, as_of, home=console.home, engine=engine)
    done = run_month(console, work, language=lang, without=without)
    for each in work.cohorts:
        tell_top(console, each, given, count=SHOWN, language=lang)
    console.say()
    risks = [model.risk for model in models]
    published: dict[str, int] = {}
    if publish:
        published = publish_month(engine, Actor(by[:120], "command line"), as_of, risks=risks, despite=despite)
    told = send_all(engine, console.home, list(published.values()))
    lists = lists_of(engine, month_end(as_of), risks)
    for one in lists:
        console.say(_line(one))
    for state, channels in told.items():
        if channels:
            console.say(f"Notices {state}: {', '.join(channels)}.")
    return {
        "as_of": month,
        "lists": [asdict(one) for one in lists],
        "steps": [asdict(one) for one in done],
        "monitor": {"level": work.watched.level, "verdict": work.watched.verdict} if work.watched else None,
        "published": sorted(published),
        "notices": told,
    }


month = command("month")(_month)


def _line(one: MonthList) -> str:
    if one.state == "draft":
        return f"{one.risk}: draft (run {one.run}); publish it on the page Monthly lists, or with --publish."
    newer = f" {one.beside} newer scoring(s) lie beside it." if one.beside else ""
    return f"{one.risk}: published, SHA-256 {str(one.digest)[:12]}…; it never changes.{newer}"
