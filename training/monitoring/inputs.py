"""The series that the monitor compares: each measure's month per person as known at that month's end, and margins."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from features.asknown import lifetimes
from features.cohort import cohort
from features.engine import FeatureRows
from features.histories.tables import Events, Histories
from features.months import month_of_day
from training.models.risk_model import RiskModel
from training.monitoring.drift import Array, Series

SAMPLED = 2000
"""So many rows on either side say what moved the scores: reasons take most of the time of scoring."""


@dataclass(frozen=True)
class Cause:
    """A group of inputs that moved the scores: by how much the mean probability differs from what it would be."""

    group: str
    effect: float


def measure_series(given: Histories, months: Sequence[int], measures: Sequence[str]) -> list[Series]:
    """Return a series for each measure: what each cohort member's month was at its end, NaN outside the cohort.

    Months are ascending. What was recorded later is left out, so that every month is as incomplete as the latest.
    """
    inside = np.full((len(months), len(given.officers)), np.nan, dtype=np.float32)
    for row, month in enumerate(months):
        inside[row, cohort(given, month).officer] = 0.0
    events = _at_once(given.events, months)
    return [_series(given, events, tuple(months), key, inside) for key in measures]


def _at_once(events: Events, months: Sequence[int]) -> Events:
    """The rows of these months that were recorded in the month they occurred, and not superseded in it."""
    month = month_of_day(events.occurred)
    chosen = (month >= months[0]) & (month <= months[-1]) & (month_of_day(events.recorded) == month)
    taken = events.take(chosen)
    twice = (taken.event >= 0) & (np.bincount(np.maximum(taken.event, 0), minlength=1)[np.maximum(taken.event, 0)] > 1)
    keep = np.ones(len(taken), dtype=bool)
    life = lifetimes(taken.take(twice))
    keep[np.flatnonzero(twice)] = life.died > life.born
    return taken.take(keep)


def _series(
    given: Histories, events: Events, months: tuple[int, ...], key: str, inside: npt.NDArray[np.float32]
) -> Series:
    mine = events.take(events.measure == given.profile.measure_number[key])
    row = month_of_day(mine.occurred) - months[0]
    value = np.where(np.isnan(mine.value), 1.0, mine.value)
    span = months[-1] - months[0] + 1
    flat = row.astype(np.int64) * len(given.officers) + mine.officer
    size = span * len(given.officers)
    made = _aggregated(flat, value, size, given.profile.measures[key].aggregate)
    by_month = made.reshape(span, len(given.officers))[np.asarray(months) - months[0]]
    return Series(key, months, (by_month + inside).astype(np.float32))


def _aggregated(flat: npt.NDArray[np.int64], value: Array, size: int, aggregate: str) -> Array:
    if aggregate == "sum":
        return np.bincount(flat, weights=value, minlength=size).astype(np.float64)
    made = np.full(size, np.nan)
    if aggregate == "mean":
        number = np.bincount(flat, minlength=size)
        total = np.bincount(flat, weights=value, minlength=size)
        made[number > 0] = total[number > 0] / number[number > 0]
        return made
    if aggregate == "max":
        np.fmax.at(made, flat, value)
        return made
    made[flat] = value  # rows are in order of day; the last stays
    return made


def margin_series(model: RiskModel, rows: FeatureRows, officers: int) -> Series:
    """Return the champion's log-odds of every cohort member at each as-of of the rows."""
    months = np.unique(rows.as_of)
    values = np.full((len(months), officers), np.nan)
    values[np.searchsorted(months, rows.as_of), rows.officer] = logit(np.clip(model.probability(rows), 1e-9, 1 - 1e-9))
    return Series(model.risk, tuple(int(month) for month in months), values)


def causes(model: RiskModel, rows: FeatureRows, as_of: int, reference: Sequence[int]) -> list[Cause]:
    """Return what moved the mean probability of ``as_of`` away from the reference months, the strongest first.

    The effect of a group: the mean probability now, less what it would be had the group contributed on average as
    in the reference months. Effects of groups do not add up exactly, for probabilities are not linear.
    """
    generator = np.random.default_rng(0)
    now, then = (_some(rows, chosen, generator) for chosen in (rows.as_of == as_of, np.isin(rows.as_of, reference)))
    new, old = model.score(now), model.score(then)
    moved = new.contributions.mean(axis=0) - old.contributions.mean(axis=0)
    without = expit(new.margin[:, None] - moved[None, :]).mean(axis=0)
    effects = new.probability.mean() - without
    order = np.argsort(-np.abs(effects))
    return [Cause(new.groups[number], float(effects[number])) for number in order]


def _some(rows: FeatureRows, chosen: npt.NDArray[np.bool_], generator: np.random.Generator) -> FeatureRows:
    places = np.flatnonzero(chosen)
    return rows.take(generator.choice(places, SAMPLED, replace=False) if len(places) > SAMPLED else places)
