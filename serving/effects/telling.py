"""Effects told and stored: which actions answer which risks, what each did, what it would do for each person."""

from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import Engine

from features.console import Advance
from features.engine import FeatureRows, feature_rows
from features.errors import Refusal
from features.histories.tables import Histories
from features.profile import Profile
from serving.effects.storing import store_effect
from training.effects.benefit import benefits_at, by_group
from training.effects.estimate import Effect, fitted_on
from training.effects.staggered import Courses, EventStudy, courses, event_study
from training.effects.study import Ground, dated_measures, ground, measure_of

Pairs = dict[str, list[str]]


@dataclass(frozen=True)
class Told:
    """What was told of an action and a risk; ``effect`` is None for a policy, ``study`` where months are too few."""

    action: str
    risk: str
    effect: Effect | None
    study: EventStudy | None


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


def help_effects(
    given: Histories, pairs: Pairs, as_of: int, *, engine: Engine, advance: Advance, every: int = 1
) -> list[Told]:
    """Estimate and store the effect of each action on its risks, and the benefit of everyone at the as-of.

    ``every`` thins the as-ofs that are studied, the newest kept: two takes half the time and half the rows.
    """
    found = []
    for risk, actions in pairs.items():
        rows, course = _thinned(ground(given, risk, until=as_of), every), _courses(given, risk, as_of)
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


def _thinned(found: Ground, every: int) -> Ground:
    """The rows of every so many of the as-ofs."""
    if every == 1:
        return found
    chosen = found.as_ofs[::-every][::-1]
    kept = np.isin(found.rows.as_of, chosen)
    return replace(found, as_ofs=chosen, rows=found.rows.take(kept), outcome=found.outcome[kept])


def _answered(profile: Profile, action: str) -> list[str]:
    """The risks that an action answers; every risk for a measure that stands for its action."""
    found = profile.actions.get(action)
    return list(found.risks) if found is not None else list(profile.risks)


def _courses(given: Histories, risk: str, as_of: int) -> Courses | None:
    try:
        return courses(given, risk, until=as_of)
    except Refusal:
        return None  # too few months for a before and an after; the estimate from the ledger may still stand
