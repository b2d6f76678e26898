"""Who is at work at an as-of, where, and for how long. Nothing about what they did."""

from dataclasses import dataclass

import numpy as np

from features.histories.tables import Floats, Histories, Ints
from features.months import NO_DAY, last_day, month_of_day


@dataclass(frozen=True)
class Cohort:
    """The officers of an as-of, ascending; positions in Histories.officers, .posts and .units.

    ``tenure`` counts months since ``hired_on`` (the first posting where that is empty); ``transfer`` months
    since the present posting began, NaN where there was none before it.
    """

    as_of: int
    officer: Ints
    post: Ints
    unit: Ints
    tenure: Floats
    transfer: Floats

    def __len__(self) -> int:
        return len(self.officer)


@dataclass(frozen=True)
class Standing:
    """Each officer's post and unit on the last day of a month; -1 where no posting was valid."""

    post: Ints
    unit: Ints
    since: Ints


def standing(given: Histories, month: int) -> Standing:
    """Return where everyone stood on the last day of a month; of overlapping postings the last begun counts."""
    postings, day = given.postings, last_day(month)
    valid = np.flatnonzero((postings.first <= day) & ((postings.last == NO_DAY) | (postings.last >= day)))
    parts = []
    for column in (postings.post, postings.unit, postings.first):
        where = np.full(len(given.officers), -1, dtype=np.int32)
        where[postings.officer[valid]] = column[valid]  # sorted by first day: the last begun stays
        parts.append(where)
    return Standing(*parts)


def first_month(given: Histories) -> Ints:
    """Return the month in which each officer's first posting began."""
    day = np.full(len(given.officers), np.iinfo(np.int32).max, dtype=np.int32)
    np.minimum.at(day, given.postings.officer, given.postings.first)
    return month_of_day(day)


def cohort(given: Histories, as_of: int) -> Cohort:
    """Return everyone with a valid posting whose first posting began min_tenure_months or more before."""
    start, now = first_month(given), standing(given, as_of)
    inside = (now.post >= 0) & (start <= as_of - given.profile.settings.min_tenure_months)
    officer = np.flatnonzero(inside).astype(np.int32)
    moved = month_of_day(now.since[officer])
    transfer = np.where(moved > start[officer], as_of - moved, np.nan)
    tenure = (as_of - _hired_month(given, start, as_of)[officer]).astype(np.float64)
    return Cohort(as_of, officer, now.post[officer], now.unit[officer], tenure, transfer)


def _hired_month(given: Histories, start: Ints, as_of: int) -> Ints:
    """The month of hiring that the postings begun by then tell; that of the first posting where none does."""
    hired = np.full(len(given.officers), NO_DAY, dtype=np.int32)
    told = (given.postings.first <= last_day(as_of)) & (given.postings.hired != NO_DAY)
    hired[given.postings.officer[told]] = given.postings.hired[told]
    known = np.where(hired == NO_DAY, 0, hired)
    return np.where(hired == NO_DAY, start, month_of_day(known)).astype(np.int32)
