"""Who is at work at an as-of, where, and for how long. Nothing about what they did."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from features.cells import compiled
from features.histories.tables import Floats, Histories, Ints
from features.months import NO_DAY, last_day, month_of_day

NOWHERE = -1


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
    postings = given.postings
    row = _valid_postings(postings.officer, postings.first, postings.last, len(given.officers), int(last_day(month)))
    parts = (np.append(column, NOWHERE).astype(np.int32) for column in (postings.post, postings.unit, postings.first))
    return Standing(*(part[row] for part in parts))


@compiled
def _valid_postings(officer: Any, first: Any, last: Any, officers: int, day: int) -> Any:
    """The row of everyone's posting on a day, the last begun of several; -1 where there is none."""
    found = np.full(officers, NOWHERE)
    for row in range(len(officer)):  # sorted by first day
        if first[row] <= day and (last[row] == NO_DAY or last[row] >= day):
            found[officer[row]] = row
    return found


def first_month(given: Histories) -> Ints:
    """Return the month in which each officer's first posting began."""
    day = np.full(len(given.officers), np.iinfo(np.int32).max, dtype=np.int32)
    np.minimum.at(day, given.postings.officer, given.postings.first)
    return month_of_day(day)


def cohort(given: Histories, as_of: int, start: Ints | None = None) -> Cohort:
    """Return everyone with a valid posting whose first posting began min_tenure_months or more before.

    ``start`` is `first_month`, where it is known already.
    """
    start, now = first_month(given) if start is None else start, standing(given, as_of)
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
