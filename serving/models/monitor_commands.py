"""The command monitor: what drifted, what stopped arriving, how good the lists are; into the store and in words."""

from typing import Any

import click

from features.console import Console, command
from features.histories.store import load_histories
from features.months import month_text, parse_month
from serving.commands import AS_OF, DB, chosen_models, has_champion
from serving.database import open_database
from serving.models.monitor import monitor_into_store
from serving.models.monitored import UNJUDGED, MonitoredMonth
from serving.scored.scoring import by_whose_word
from serving.words import say
from training.registry.registry import Registry


@AS_OF
@DB
@click.option("--risk", default=None, help="Look at one risk's model; at all that have a champion when not given.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True)
def _monitor(console: Console, *, as_of: str, db: str | None, risk: str | None, lang: str) -> dict[str, Any]:
    """Say whether inputs, scores and the data's coverage are as they were, and how good past lists were."""
    month = parse_month(as_of)
    given = load_histories(console.home)
    registry = Registry(console.home)
    looked = risk is not None or has_champion(registry, given)  # what arrives can be watched before there is any model
    models = chosen_models(registry, given, risk=risk) if looked else []
    with console.progress(f"Monitoring {as_of}", 2 + len(models)) as advance:
        found = monitor_into_store(
            given,
            models,
            month,
            open_database(console.home, db),
            served=by_whose_word(console.home, models),
            advance=advance,
        )
    _tell(console, found, lang)
    return found.as_json()


monitor = command("monitor")(_monitor)


def _tell(console: Console, found: MonitoredMonth, language: str) -> None:
    console.say(f"{month_text(found.as_of)}: {found.verdict[language]}")
    if found.level != UNJUDGED:  # else the verdict says it
        for why in found.figures["unjudged"]:
            console.say(f"  {say('monitor_not_compared', language)} {why[language]}")
    for one in found.findings:
        console.say(f"  [{one.level}] {one.text[language]}")
        console.say(f"      -> {one.action[language]}")
    for risk, told in found.figures["risks"].items():
        ap = told["expected"]["average_precision"]
        if ap[0] is not None:
            interval = f"{ap[1]:.3f}-{ap[2]:.3f}"
            console.say(f"  {risk}: expected average precision {ap[0]:.3f} ({interval}), if still calibrated")
        for row in told["measured"]:
            value, low, high = row["average_precision"]
            ratio = f"observed/expected {row['ratio'][0]:.2f}"
            console.say(f"  {risk}: {row['month']} came true: {value:.3f} ({low:.3f}-{high:.3f}), {ratio}")
