"""Columns of single days and of two measures together, compiled: runs of days, sequences, and rates over windows."""

from typing import Any, NamedTuple

import numpy as np

from features.cells import compiled
from features.histories.tables import Floats, Ints

DAY_WINDOW = 3
RATE_WINDOWS = (3, 12)


class Days(NamedTuple):
    """Columns of the last DAY_WINDOW months.

    ``runs`` [column, 2] are place and measure: the longest run of days; ``pairs`` [column, 4] are place, first
    measure, the one that follows, and after how many days (0 or 1).
    """

    runs: Ints
    pairs: Ints


class Rates(NamedTuple):
    """Columns [column, 4] of place, measure, the one it is divided by, and months; ``times`` that factor."""

    columns: Ints
    times: Floats


@compiled
def write_days(out: Any, days: Any, starts: Any, plan: Any, until: int, day: int) -> None:
    """Write the columns of days to ``out`` [column, officer]; ``days`` [month, measure, officer] are bits.

    ``starts`` are the first days of the months, of which there are ``until``; ``day`` is the last.
    """
    first = max(0, until - DAY_WINDOW)
    for column in range(len(plan.runs)):
        _in_a_row(out[plan.runs[column, 0]], days[first:until, plan.runs[column, 1]], starts[first:until], day)
    for column in range(len(plan.pairs)):
        one, then = days[first:until, plan.pairs[column, 1]], days[first:until, plan.pairs[column, 2]]
        _followed(out[plan.pairs[column, 0]], one, then, starts[first:until], plan.pairs[column, 3])


@compiled
def _in_a_row(column: Any, days: Any, starts: Any, last: int) -> None:
    """The longest run of successive days."""
    for who in range(days.shape[1]):
        run, best = 0, 0
        for month in range(len(days)):
            after = starts[month + 1] if month + 1 < len(days) else last + 1
            for day in range(after - starts[month]):
                run = (run + 1) * int((days[month, who] >> np.uint32(day)) & np.uint32(1))
                best = max(best, run)
        column[who] = best


@compiled
def _followed(column: Any, first: Any, then: Any, starts: Any, apart: int) -> None:
    """How many days of ``first`` had ``then`` so many days (0 or 1) later, within the months given."""
    for who in range(first.shape[1]):
        found = 0
        for month in range(len(first)):
            if apart == 0:
                found += _bits(first[month, who] & then[month, who])
                continue
            found += _bits(first[month, who] & (then[month, who] >> np.uint32(1)))
            if month + 1 < len(first):
                last = first[month, who] >> np.uint32(starts[month + 1] - starts[month] - 1)
                found += int(last & then[month + 1, who] & np.uint32(1))
        column[who] = found


@compiled
def _bits(days: Any) -> int:
    found = 0
    while days:
        days &= days - np.uint32(1)
        found += 1
    return found


@compiled
def write_rates(out: Any, value: Any, plan: Any, until: int) -> None:
    """Write the rates to ``out`` [column, officer]; months of ``value`` [month, measure, officer] add oldest first."""
    of, per = np.empty(value.shape[2]), np.empty(value.shape[2])
    for number in range(len(plan.columns)):
        first = max(0, until - plan.columns[number, 3])
        _added(of, value[first:until, plan.columns[number, 1]])
        _added(per, value[first:until, plan.columns[number, 2]])
        column = out[plan.columns[number, 0]]
        for who in range(len(of)):
            column[who] = plan.times[number] * of[who] / per[who] if per[who] > 0 else np.nan


@compiled
def _added(total: Any, months: Any) -> None:
    total[:] = 0.0
    for month in range(len(months)):
        for who in range(len(total)):
            total[who] += 0.0 if np.isnan(months[month, who]) else months[month, who]
