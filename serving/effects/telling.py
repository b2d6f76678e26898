"""Effects told and stored: which actions answer which risks, what each did, what it would do for each person."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sqlalchemy import Engine

from features.console import Advance
from features.engine import FeatureRows, feature_rows
from features.errors import Refusal
from features.histories.tables import Histories
from features.profile import Profile
from serving.effects.storing import store_effect
from training.effects.benefit import GroupEffect, benefits_at, by_group
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

    ``every`` thins the as-ofs that are studied, the newest kept: two takes half the time and half the rows. The actions
    that answer a risk are fitted side by side, one on each core: the figures are those of one after the other.
    """
    known, found = given.until(as_of), []
    for risk, actions in pairs.items():
        asked = _asked(known, risk, as_of, every=every)
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for each in threads.map(asked.fitted, actions):
                store_effect(engine, known.profile, as_of, **vars(each), every=every)
                found.append(Told(each.effect.action, risk, each.effect, each.study))
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


@dataclass(frozen=True)
class _Fitted:
    """All that is stored of an action's effect on a risk."""

    study: EventStudy | None
    effect: Effect
    groups: list[GroupEffect]
    benefits: pd.DataFrame
    position: int


@dataclass(frozen=True)
class _Asked:
    """What the studies of all actions that answer a risk share: rows, courses, and the rows of today's cohort."""

    known: Histories
    rows: Ground
    course: Courses | None
    now: FeatureRows

    def fitted(self, action: str) -> _Fitted:
        """Return what an action did, and would do for each of the cohort."""
        found, answered = fitted_on(self.rows, action), _answered(self.known.profile, action)
        return _Fitted(
            study=event_study(self.course, action) if self.course is not None else None,
            effect=found.effect,
            groups=by_group(found, self.known.posts),
            benefits=benefits_at(self.known, found, self.now),
            position=answered.index(self.rows.risk) if self.rows.risk in answered else len(answered),
        )


def _asked(known: Histories, risk: str, as_of: int, *, every: int) -> _Asked:
    rows, course = _thinned(ground(known, risk, until=as_of), every), _courses(known, risk, as_of)
    return _Asked(known, rows, course, feature_rows(known, [as_of], names=rows.rows.names))


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
