"""What became of it: the outcome in the horizon after an as-of, as recorded by the day the label is asked for."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.asknown import NEVER, lifetimes
from features.cohort import cohort
from features.efficiency import index_cube, monthly_index
from features.errors import Refusal
from features.histories.tables import Floats, Histories, Ints
from features.months import NO_DAY, last_day, month_of_day, timestamps
from features.profile_rows import EventOutcome, IndexOutcome, Risk
from features.statistics import moments

ENOUGH = 0.5
"""An index outcome needs this share of the horizon's and of the baseline's months assessed."""


@dataclass(frozen=True)
class Labels:
    """One label per cohort member and as-of, in the order of feature_rows: 1, 0, or NaN = unknown."""

    officer: Ints
    as_of: Ints
    label: Floats

    def frame(self, given: Histories) -> pd.DataFrame:
        """Return a table: officer_id, as_of (month end), label (nullable whole number)."""
        label = pd.array(np.where(np.isnan(self.label), -1, self.label).astype(np.int8), dtype="Int8")
        label[np.isnan(self.label)] = pd.NA
        return pd.DataFrame(
            {
                "officer_id": given.officers[self.officer],
                "as_of": timestamps(last_day(self.as_of)),
                "label": label,
            }
        )


def the_risk(given: Histories, risk: str) -> Risk:
    """Return a risk of the profile; a Refusal names those there are."""
    if risk not in given.profile.risks:
        raise Refusal(f"The profile has no risk '{risk}'.", hint=f"It has: {', '.join(given.profile.risks)}.")
    return given.profile.risks[risk]


def labels(
    given: Histories, risk: str, as_ofs: "list[int] | range | tuple[int, ...]", *, until: int | None = None
) -> Labels:
    """Return the label of every cohort member at each as-of, from rows recorded by ``until`` (all when None).

    Unless the outcome was reached, it is unknown where the last posting ended before the horizon did, or where
    the horizon and the risk's maturity are not over by the last recorded day (or ``until``).
    """
    rule = the_risk(given, risk)
    known_until = _known_until(given, until)
    given = given.until(until)
    wanted = sorted(set(as_ofs))
    if not wanted:
        raise Refusal("No as-of was asked for.")
    reached: _Events | _Index
    if isinstance(rule.outcome, EventOutcome):
        reached = _Events(given, rule.outcome, last_month=wanted[-1] + rule.horizon_months)
    else:
        reached = _Index(given, rule.outcome, first_month=wanted[0], last_month=wanted[-1] + rule.horizon_months)
    officers, months, found = [], [], []
    for as_of in wanted:
        members = cohort(given, as_of).officer
        label = reached.label(as_of, rule.horizon_months)[members]
        over = last_day(as_of + rule.horizon_months + rule.maturity_months) <= known_until
        left = _last_posted(given)[members] < last_day(as_of + rule.horizon_months)
        # a mean is not reached before its horizon is over, a number of events may be
        early = isinstance(rule.outcome, EventOutcome) & (label == 1)
        unknown = ~early & (left | (not over))
        officers.append(members)
        months.append(np.full(len(members), as_of, dtype=np.int32))
        found.append(np.where(unknown, np.nan, label))
    officer, month, label = (np.concatenate(part) for part in (officers, months, found))
    order = np.lexsort((month, officer))
    return Labels(officer[order], month[order], label[order])


def latest_labelled(given: Histories, risk: str, *, until: int | None = None) -> int:
    """Return the last as-of whose labels are complete by ``until`` (or by the last recorded day)."""
    rule, day = the_risk(given, risk), _known_until(given, until)
    month = int(month_of_day(day + 1)) - 1  # the last month that is over
    return month - rule.horizon_months - rule.maturity_months


def _known_until(given: Histories, until: int | None) -> int:
    if not len(given.events):
        return int(NO_DAY)
    return min(given.last_recorded, int(last_day(until))) if until is not None else given.last_recorded


def _last_posted(given: Histories) -> Ints:
    ends = np.where(given.postings.last == NO_DAY, NEVER, given.postings.last)
    last = np.full(len(given.officers), NO_DAY, dtype=np.int32)
    np.maximum.at(last, given.postings.officer, ends)
    return last


class _Events:
    """Sums of the outcome's events by officer and month of occurrence."""

    def __init__(self, given: Histories, outcome: EventOutcome, *, last_month: int) -> None:
        events = given.events.take(given.events.measure == given.profile.measure_number[outcome.measure])
        life = lifetimes(given.events)
        chosen = given.events.measure == given.profile.measure_number[outcome.measure]
        alive = life.died[chosen] == NEVER
        month, value = month_of_day(events.occurred)[alive], life.value[chosen][alive]
        self.base = int(month.min()) if len(month) else last_month
        self.sums = np.zeros((max(1, last_month - self.base + 1), len(given.officers)))
        inside = month <= last_month
        np.add.at(self.sums, (month[inside] - self.base, events.officer[alive][inside]), value[inside])
        self.at_least = outcome.at_least

    def label(self, as_of: int, horizon: int) -> Floats:
        start = max(0, as_of + 1 - self.base)
        found: Floats = self.sums[start : max(0, as_of + 1 + horizon - self.base)].sum(axis=0)
        return np.where(found >= self.at_least, 1.0, 0.0)


class _Index:
    """The index of every month, as known when the label is asked for."""

    def __init__(self, given: Histories, outcome: IndexOutcome, *, first_month: int, last_month: int) -> None:
        self.outcome, self.base = outcome, first_month - outcome.baseline_months + 1
        newest = int(month_of_day(given.last_recorded)) if len(given.events) else last_month
        cube = index_cube(given, first=self.base, last=max(last_month, newest))
        for month in range(cube.base, max(last_month, newest) + 1):
            cube.advance(month)
        self.index = monthly_index(given, cube, range(self.base, last_month + 1))

    def label(self, as_of: int, horizon: int) -> Floats:
        now = as_of - self.base + 1
        before = self._mean(self.index[now - self.outcome.baseline_months : now])
        after = self._mean(self.index[now : now + horizon])
        return np.where(np.isnan(before + after), np.nan, (before - after >= self.outcome.falls_by)).astype(np.float64)

    def _mean(self, months: Floats) -> Floats:
        known = ~np.isnan(months)
        found = moments(months, known, (len(months),))[len(months)]
        return np.where(found.observed >= ENOUGH * len(months), found.mean, np.nan)
