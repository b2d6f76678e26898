"""Four figures of the whole force month by month: burnout, decline, objections, and those who gave up ("lying flat").

Figures of a force, not of persons: counts of fewer than five are withheld.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.cohort import cohort
from features.histories.tables import Histories, Ints
from features.labels import labels
from features.months import month_of_day
from features.profile import Profile
from features.profile_rows import EventOutcome
from training.effects.staggered import index_of
from training.spells import standing_events

MONTHS = 36
FEWEST = 5
OBJECTIONS = "assessment_objection"
FLAT_BELOW, FLAT_MONTHS = -1.0, 3
"""Lying flat: the index is so far below the post's middle in each of the last three months, all of them assessed."""


@dataclass(frozen=True)
class Tracked:
    """A figure's month: of ``people`` so many; ``count`` and ``share`` are None where withheld or unknown."""

    name: str
    month: int
    people: int
    count: int | None
    share: float | None


def tracked(histories: Histories, *, until: int) -> list[Tracked]:
    """Return the figures of the last MONTHS months as known by the end of ``until``.

    For a risk told by events, who had one in the month; for one told by the index, whose decline came true with the
    month (the label of a horizon before); officers who objected to an assessment; who lies flat.
    """
    known = histories.until(until)
    first = max(int(month_of_day(known.events.occurred.min())), until - MONTHS + 1)
    months = range(first, until + 1)
    found: list[Tracked] = []
    for name, measure in _counted(known.profile).items():
        found += _events(known, name, measure, months)
    for risk, rule in known.profile.risks.items():
        if not isinstance(rule.outcome, EventOutcome):
            found += _declined(known, risk, rule.horizon_months, months)
            found += _flat(known, months)
    return found


def _counted(profile: Profile) -> Mapping[str, str]:
    """Name of a figure -> the measure that it counts."""
    risks = {
        risk: rule.outcome.measure for risk, rule in profile.risks.items() if isinstance(rule.outcome, EventOutcome)
    }
    return risks | ({"objections": OBJECTIONS} if OBJECTIONS in profile.measures else {})


def _events(known: Histories, name: str, measure: str, months: range) -> list[Tracked]:
    officer, day, _ = standing_events(known, (measure,))
    when = month_of_day(day)
    return [_told(name, month, cohort(known, month).officer, officer[when == month]) for month in months]


def _declined(known: Histories, risk: str, horizon: int, months: range) -> list[Tracked]:
    outcome = labels(known, risk, [month - horizon for month in months])
    assessed, fell = ~np.isnan(outcome.label), outcome.label == 1
    return [
        _told(risk, month, outcome.officer[mine & assessed], outcome.officer[mine & fell])
        for month in months
        for mine in [outcome.as_of == month - horizon]
    ]


def _flat(known: Histories, months: range) -> list[Tracked]:
    index = index_of(known, range(months[0] - FLAT_MONTHS + 1, months[-1] + 1))
    found = []
    for place, month in enumerate(months):
        last = index[place : place + FLAT_MONTHS]
        there = cohort(known, month).officer
        assessed = there[~np.isnan(last[:, there]).any(axis=0)]
        found.append(_told("lying_flat", month, assessed, assessed[(last[:, assessed] <= FLAT_BELOW).all(axis=0)]))
    return found


def _told(name: str, month: int, people: Ints, those: Ints) -> Tracked:
    number, count = len(people), int(np.isin(people, those).sum())
    told = number >= FEWEST and (count == 0 or count >= FEWEST)
    return Tracked(name, month, number, count if told else None, count / number if told else None)
