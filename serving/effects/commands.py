"""The command effects: estimates what help did, what it would do for each person, and tracks the force's figures."""

import datetime as dt
from dataclasses import asdict
from typing import Any

import click

from features.console import Console, command
from features.errors import WrongUsage
from features.histories.reach import reach_of
from features.histories.store import load_histories
from features.months import month_of, parse_month
from serving.commands import DB
from serving.database import open_database
from serving.effects.sentences import told_line
from serving.effects.storing import store_tracked
from serving.effects.telling import chosen_pairs, help_effects, policy_effects
from training.effects.tracked import tracked


@click.option("--as-of", required=True, metavar="YYYY-MM", help="Nothing recorded later is used.")
@click.option("--action", default=None, help="One action of the profile; all that leave a record when not given.")
@click.option("--risk", default=None, help="One risk; those that the action answers when not given.")
@click.option(
    "--policy-on", default=None, metavar="YYYY-MM-DD", help="Study the action as a policy that began on this day."
)
@DB
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True)
def _effects(
    console: Console,
    *,
    as_of: str,
    action: str | None,
    risk: str | None,
    policy_on: str | None,
    db: str | None,
    lang: str,
) -> dict[str, Any]:
    """Say what help did, against a comparison: average effect, event study, benefit by person; or why not."""
    month = parse_month(as_of)
    given = load_histories(console.home)
    reach_of(given).check_months(month)
    pairs = chosen_pairs(given.profile, action=action, risk=risk)
    since = _month_of_policy(policy_on, action)
    if since is not None:
        reach_of(given).check_months(since)
    engine = open_database(console.home, db)
    steps = sum(len(actions) for actions in pairs.values()) + 1
    with console.progress(f"Effects as of {as_of}", steps) as advance:
        if since is not None:
            found = policy_effects(given, pairs, month, since=since, engine=engine, advance=advance)
        else:
            found = help_effects(given, pairs, month, engine=engine, advance=advance)
        store_tracked(engine, given.profile, month, tracked(given, until=month))
        advance(1)
    for one in found:
        console.say(told_line(given.profile, one.effect, one.study, lang))
    return {"as_of": as_of, "effects": [asdict(one) for one in found]}


effects_command = command("effects")(_effects)


def _month_of_policy(policy_on: str | None, action: str | None) -> int | None:
    if policy_on is None:
        return None
    if action is None:
        raise WrongUsage(
            "Which policy?", hint="Give the action that it brought: --action ACTION --policy-on YYYY-MM-DD."
        )
    try:
        return month_of(dt.date.fromisoformat(policy_on))
    except ValueError:
        raise WrongUsage(f"'{policy_on}' is not a day.", hint="Write it as YYYY-MM-DD.") from None
