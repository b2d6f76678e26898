"""The statistics of measures, compiled: what is found of each at an as-of, for all officers of a tile.

The loops take whole arrays and say where: parts of arrays, handed over and given back, would cost more than what is
computed of them. The columns made of what is found are written in features.tiles.columns.
"""

from typing import Any, NamedTuple

import numpy as np

from features.cells import compiled
from features.histories.tables import Floats

ALL_SUMMED, ANOTHER = 0, 1
"""All summed measures are observed in the same months, from the first posting on; another one where it is known."""


class Found(NamedTuple):
    """What is found of measures at an as-of, of each officer.

    Of each window or trend and measure: ``totals``; ``across``, the sums of the distances from the mean of the
    trend's months times that of the month from their middle; ``squares`` of the distances. Of each window or trend,
    where it is observed (``numbers``, ``several``: in how many months): 0 is for all summed measures, then each
    other one; ``along`` is the sum of the squares of the months' distances from their middle. Of each month, the
    newest last, of ALL_SUMMED and ANOTHER: ``there`` is 1 where it is observed, ``apart`` [trend, month] how far it is
    from the middle. ``clean`` are another one's months, 0 where it is not known; ``level`` is the mean of a trend.
    """

    totals: Floats
    across: Floats
    squares: Floats
    numbers: Floats
    several: Floats
    along: Floats
    there: Floats
    apart: Floats
    clean: Floats
    level: Floats


@compiled
def room(months: int, windows: int, trends: int, measures: int, officers: int) -> Any:
    """Return room for what is found."""
    watched = measures + 1
    return Found(
        totals=np.zeros((windows, measures, officers)),
        across=np.zeros((trends, measures, officers)),
        squares=np.zeros((trends, measures, officers)),
        numbers=np.zeros((windows, watched, officers)),
        several=np.zeros((trends, watched, officers)),
        along=np.zeros((trends, watched, officers)),
        there=np.zeros((months, 2, officers)),
        apart=np.zeros((trends, months, 2, officers)),
        clean=np.zeros((months, 1, officers)),
        level=np.zeros(officers),
    )


@compiled
def slope(amount: Any, there: Any) -> Any:
    """Return the least-squares trend over [month, officer]; NaN with fewer than three observed (``there`` is 1)."""
    months, officers = amount.shape
    found, trends, slopes = room(months, 0, 1, 1, officers), np.array([months]), np.empty(officers)
    found.clean[:, 0], found.there[:, ANOTHER] = amount, there
    _middle(found.apart, found.several, found.along, found.there, trends, ANOTHER, 1, months)
    _mean_of_trend(found.level, found.several, found.there, found.clean, 0, 0, ANOTHER, 1, 0, months)
    _across(found.across, found.level, found.apart, found.clean, 0, 0, ANOTHER, 0, 0, months)
    for who in range(officers):
        enough = found.several[0, 1, who] >= 3 and found.along[0, 1, who] > 0
        slopes[who] = found.across[0, 0, who] / found.along[0, 1, who] if enough else np.nan
    return slopes


@compiled
def find(found: Any, value: Any, start: Any, plan: Any, as_of: int, until: int) -> None:
    """Find everything of the measures of a plan at an as-of; ``value`` [month, measure, officer] has ``until`` months.

    ``start`` is the month from which on each officer serves.
    """
    totals, across, squares, numbers, several, along, there, apart, clean, level = found
    windows, trends, last = plan.windows, plan.trends, len(there)
    _since_start(there, numbers, start, windows, as_of, until)
    _middle(apart, several, along, there, trends, ALL_SUMMED, 0, until)
    for row in range(len(plan.measure)):
        key, watch = plan.measure[row], plan.watch[row]
        if watch == 0:
            kind, amount, first, at = ALL_SUMMED, value, until - last, key
            _add_back(totals, value, windows, row, key, until)
        else:
            kind, amount, first, at = ANOTHER, clean, 0, 0
            _add_known(totals, numbers, value, windows, row, key, watch, until)
            _tidy(clean, there, value, key, until)
            _middle(apart, several, along, there, trends, ANOTHER, watch, until)
        for trend in range(len(trends)):
            months = min(trends[trend], until)
            _mean_of_trend(level, several, there, amount, first, at, kind, watch, trend, months)
            if plan.sloped[trend]:
                _across(across, level, apart, amount, first, at, kind, trend, row, months)
            if plan.spread[trend]:
                _squares(squares, level, there, amount, first, at, kind, trend, row, months)


@compiled
def _since_start(there: Any, numbers: Any, start: Any, windows: Any, as_of: int, until: int) -> None:
    """Summed measures are observed from the month of the first posting on."""
    last = len(there) - 1
    for age in range(min(last + 1, until)):
        for who in range(len(start)):
            there[last - age, ALL_SUMMED, who] = 1.0 if as_of - age >= start[who] else 0.0
    for place in range(len(windows)):
        months = min(windows[place], until)
        for who in range(len(start)):
            numbers[place, 0, who] = max(0, min(months, as_of + 1 - start[who]))


@compiled
def _middle(apart: Any, several: Any, along: Any, there: Any, trends: Any, kind: int, watch: int, until: int) -> None:
    """How far the observed months of each trend are from their middle."""
    last, officers = there.shape[0], there.shape[2]
    middle = np.empty(officers)
    for trend in range(len(trends)):
        months = min(trends[trend], until)
        for who in range(officers):
            several[trend, watch, who], along[trend, watch, who], middle[who] = 0.0, 0.0, 0.0
        for month in range(last - months, last):
            age = float(last - 1 - month)
            for who in range(officers):
                several[trend, watch, who] += there[month, kind, who]
                middle[who] -= there[month, kind, who] * age
        for who in range(officers):
            middle[who] = middle[who] / max(several[trend, watch, who], 1.0)
        for month in range(last - months, last):
            at = float(month + 1 - last)
            for who in range(officers):
                away = there[month, kind, who] * (at - middle[who])
                apart[trend, month, kind, who] = away
                along[trend, watch, who] += away * away


@compiled
def _add_back(totals: Any, value: Any, windows: Any, row: int, key: int, until: int) -> None:
    """Sums over each window; months are added newest first."""
    newer, officers = 0, value.shape[2]
    for place in range(len(windows)):
        for who in range(officers):
            totals[place, row, who] = totals[place - 1, row, who] if place else 0.0
        first, month = until - min(windows[place], until), until - 1 - newer
        while month - 3 >= first:
            for who in range(officers):
                both = (totals[place, row, who] + value[month, key, who]) + value[month - 1, key, who]
                totals[place, row, who] = (both + value[month - 2, key, who]) + value[month - 3, key, who]
            month -= 4
        while month >= first:
            for who in range(officers):
                totals[place, row, who] += value[month, key, who]
            month -= 1
        newer = until - first


@compiled
def _add_known(totals: Any, numbers: Any, value: Any, windows: Any, row: int, key: int, watch: int, until: int) -> None:
    """Sums over each window of the months that are known, and how many are; months are added newest first."""
    newer, officers = 0, value.shape[2]
    for place in range(len(windows)):
        for who in range(officers):
            totals[place, row, who] = totals[place - 1, row, who] if place else 0.0
            numbers[place, watch, who] = numbers[place - 1, watch, who] if place else 0.0
        months = min(windows[place], until)
        for age in range(newer, months):
            month = until - 1 - age
            for who in range(officers):
                amount = value[month, key, who]
                totals[place, row, who] += 0.0 if np.isnan(amount) else amount
                numbers[place, watch, who] += 0.0 if np.isnan(amount) else 1.0
        newer = months


@compiled
def _tidy(clean: Any, there: Any, value: Any, key: int, until: int) -> None:
    """The last months of a measure that is not summed, and which are known."""
    last = len(clean) - 1
    for age in range(min(last + 1, until)):
        month = until - 1 - age
        for who in range(value.shape[2]):
            amount = value[month, key, who]
            clean[last - age, 0, who] = 0.0 if np.isnan(amount) else amount
            there[last - age, ANOTHER, who] = 0.0 if np.isnan(amount) else 1.0


@compiled
def _mean_of_trend(
    level: Any, several: Any, there: Any, amount: Any, first: int, key: int, kind: int, watch: int, trend: int,
    months: int,
) -> None:  # fmt: skip
    """The mean of the observed months, oldest first; month i of ``there`` is month ``first`` + i of ``amount``."""
    last, officers = len(there), len(level)
    for who in range(officers):
        level[who] = 0.0
    for month in range(last - months, last):
        for who in range(officers):
            level[who] += there[month, kind, who] * amount[first + month, key, who]
    for who in range(officers):
        level[who] = level[who] / max(several[trend, watch, who], 1.0)


@compiled
def _across(
    across: Any, level: Any, apart: Any, amount: Any, first: int, key: int, kind: int, trend: int, row: int,
    months: int,
) -> None:  # fmt: skip
    last, officers = apart.shape[1], len(level)
    for who in range(officers):
        across[trend, row, who] = 0.0
    for month in range(last - months, last):
        for who in range(officers):
            away = amount[first + month, key, who] - level[who]
            across[trend, row, who] += apart[trend, month, kind, who] * away


@compiled
def _squares(
    squares: Any, level: Any, there: Any, amount: Any, first: int, key: int, kind: int, trend: int, row: int,
    months: int,
) -> None:  # fmt: skip
    last, officers = len(there), len(level)
    for who in range(officers):
        squares[trend, row, who] = 0.0
    for month in range(last - months, last):
        for who in range(officers):
            away = amount[first + month, key, who] - level[who]
            squares[trend, row, who] += there[month, kind, who] * away * away
