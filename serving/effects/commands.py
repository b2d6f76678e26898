"""The command effects: estimates what help did, what it would do for each person, and tracks the force's figures."""

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any

import click
from sqlalchemy import Engine

from features.console import Advance, Console, command
from features.engine import FeatureRows, feature_rows
from features.errors import Refusal, WrongUsage
from features.histories.store import load_histories
from features.histories.tables import Histories
from features.months import month_of, parse_month
from features.profile import Profile
from serving.commands import DB
from serving.database import open_database
from serving.effects.sentences import told_line
from serving.effects.storing import store_effect, store_tracked
from training.effects.benefit import benefits_at, by_group
from training.effects.estimate import Effect, fitted_on
from training.effects.staggered import Courses, EventStudy, courses, event_study
from training.effects.study import Ground, dated_measures, ground, measure_of
from training.effects.tracked import tracked

Pairs = dict[str, list[str]]


@dataclass(frozen=True)
class Told:
    """What was told of an action and a risk; ``effect`` is None for a policy, ``study`` where months are too few."""

    action: str
    risk: str
    effect: Effect | None
    study: EventStudy | None


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
    pairs = chosen_pairs(given.profile, action=action, risk=risk)
    since = _month_of_policy(policy_on, action)
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


def chosen_pairs(profile: Profile, *, action: str | None, risk: str | None) -> Pairs:
    """Return risk -> the actions to study for it; Refusals name what there is."""
    if risk is not None and risk not in profile.risks:
        raise Refusal(f"The profile has no risk '{risk}'.", hint=f"It has: {', '.join(profile.risks)}.")
    if action is not None:
        measure_of(profile, action)
    named = [key for key, each in profile.actions.items() if each.recorded_as] or dated_measures(profile)
    found: Pairs = {}
    for key in [action] if action is not None else named:
        for each in [risk] if risk is not None else _answered(profile, key):
            found.setdefault(each, []).append(key)
    if not found:
        raise Refusal(
            "No action of the profile answers a risk and leaves a record.", hint="Name both: --action, --risk."
        )
    return found


def help_effects(given: Histories, pairs: Pairs, as_of: int, *, engine: Engine, advance: Advance) -> list[Told]:
    """Estimate and store the effect of each action on its risks, and the benefit of everyone at the as-of."""
    found = []
    for risk, actions in pairs.items():
        rows, course = ground(given, risk, until=as_of), _courses(given, risk, as_of)
        now = feature_rows(given, [as_of], names=rows.rows.names)
        for action in actions:
            found.append(_help_effect(given, rows, course, action, now=now, engine=engine))
            advance(1)
    return found


def policy_effects(
    given: Histories, pairs: Pairs, as_of: int, *, since: int, engine: Engine, advance: Advance
) -> list[Told]:
    """Study and store an action as a policy from a month on."""
    found = []
    for risk, actions in pairs.items():
        course = courses(given, risk, until=as_of)
        for action in actions:
            study = event_study(course, action, since=since)
            store_effect(engine, given.profile, as_of, study=study)
            found.append(Told(action, risk, None, study))
            advance(1)
    return found


def _help_effect(
    given: Histories, rows: Ground, course: Courses | None, action: str, *, now: FeatureRows, engine: Engine
) -> Told:
    found = fitted_on(rows, action)
    study = event_study(course, action) if course is not None else None
    answered = _answered(given.profile, action)
    store_effect(
        engine,
        given.profile,
        int(now.as_of.max()),
        study=study,
        effect=found.effect,
        groups=by_group(found, given.posts),
        benefits=benefits_at(given, found, now),
        position=answered.index(rows.risk) if rows.risk in answered else len(answered),
    )
    return Told(action, rows.risk, found.effect, study)


def _answered(profile: Profile, action: str) -> list[str]:
    """The risks that an action answers; every risk for a measure that stands for its action."""
    found = profile.actions.get(action)
    return list(found.risks) if found is not None else list(profile.risks)


def _courses(given: Histories, risk: str, as_of: int) -> Courses | None:
    try:
        return courses(given, risk, until=as_of)
    except Refusal:
        return None  # too few months for a before and an after; the estimate from the ledger may still stand


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
