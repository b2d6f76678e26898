"""The columns of feature rows, compiled: each function writes those of one statistic to ``out`` [column, officer].

`write` is what the walk calls. Which statistics there are, and to which measures they apply, features.statistics
says; features.tiles.figures finds what they are made of.
"""

from typing import Any, NamedTuple

import numpy as np

from features.cells import compiled
from features.histories.tables import Floats, Ints
from features.months import NO_DAY

TOTAL, MEAN, RECORDS, SLOPE, SPREAD, VS_SELF, DECAY, MONTHS_SINCE, DAYS_SINCE, EVER = range(10)


class Known(NamedTuple):
    """What is known of a tile of officers beside the values of their months, by an as-of.

    ``records`` [month, measure, officer]; ``latest`` [measure, officer] days, NO_DAY where there is none; ``decays``
    [decayed measure, half-life, officer]; ``month_of`` is the month of each day from ``epoch`` on.
    """

    records: Ints
    latest: Ints
    decays: Floats
    epoch: int
    month_of: Ints


@compiled
def write(out: Any, levels: Any, found: Any, known: Any, plan: Any, as_of: int, day: int, until: int) -> None:
    """Write all columns of a plan at an as-of, whose last day is ``day``; there are ``until`` months by then.

    ``levels`` [level, officer] get what people are compared by: sums, or means of what is not summed.
    """
    columns, begins, watch, measure = plan.columns, plan.begins, plan.watch, plan.measure
    totals, numbers, several = found.totals, found.numbers, found.several
    for number in range(begins[TOTAL], begins[TOTAL + 1]):
        _total(out, totals, columns, number)
    for number in range(begins[MEAN], begins[MEAN + 1]):
        _mean(out, columns[number, 0], totals, numbers, columns[number, 3], columns[number, 1], watch)
    for number in range(begins[RECORDS], begins[RECORDS + 1]):
        _records(out, known.records, columns, number, measure, until)
    for number in range(begins[SLOPE], begins[SLOPE + 1]):
        _slope(out, found.across, found.along, several, columns, number, watch)
    for number in range(begins[SPREAD], begins[SPREAD + 1]):
        _spread(out, found.squares, several, columns, number, watch)
    for number in range(begins[VS_SELF], begins[VS_SELF + 1]):
        _vs_self(out, totals, numbers, columns, number, watch, plan.own)
    for number in range(begins[DECAY], begins[DECAY + 1]):
        _decay(out, known.decays, columns, number, plan.decayed)
    for number in range(begins[MONTHS_SINCE], begins[MONTHS_SINCE + 1]):
        _months_since(out, known.latest, known.month_of, known.epoch, columns, number, measure, as_of)
    for number in range(begins[DAYS_SINCE], begins[DAYS_SINCE + 1]):
        _days_since(out, known.latest, columns, number, measure, day)
    for number in range(begins[EVER], begins[EVER + 1]):
        _ever(out, known.latest, columns, number, measure)
    for level in range(len(levels)):
        row, window = level // len(plan.peers), plan.peers[level % len(plan.peers)]
        if watch[row]:
            _mean(levels, level, totals, numbers, window, row, watch)
        else:
            _level(levels, level, totals, window, row)


@compiled
def _total(out: Any, totals: Any, columns: Any, number: int) -> None:
    place, row, window = columns[number, 0], columns[number, 1], columns[number, 3]
    for who in range(totals.shape[2]):
        out[place, who] = totals[window, row, who]


@compiled
def _level(levels: Any, level: int, totals: Any, window: int, row: int) -> None:
    for who in range(totals.shape[2]):
        levels[level, who] = totals[window, row, who]


@compiled
def _mean(out: Any, place: int, totals: Any, numbers: Any, window: int, row: int, watch: Any) -> None:
    mine = watch[row]
    for who in range(totals.shape[2]):
        number = numbers[window, mine, who]
        out[place, who] = totals[window, row, who] / number if number > 0 else np.nan


@compiled
def _records(out: Any, records: Any, columns: Any, number: int, measure: Any, until: int) -> None:
    place, key, window = columns[number, 0], measure[columns[number, 1]], columns[number, 2]
    for who in range(records.shape[2]):
        out[place, who] = 0.0
    for month in range(max(0, until - window), until):
        for who in range(records.shape[2]):
            out[place, who] += records[month, key, who]


@compiled
def _slope(out: Any, across: Any, along: Any, several: Any, columns: Any, number: int, watch: Any) -> None:
    """Least-squares trend over the last months; NaN with fewer than three observed."""
    place, row, trend = columns[number, 0], columns[number, 1], columns[number, 3]
    mine = watch[row]
    for who in range(across.shape[2]):
        square = along[trend, mine, who]
        enough = several[trend, mine, who] >= 3 and square > 0
        out[place, who] = across[trend, row, who] / square if enough else np.nan


@compiled
def _spread(out: Any, squares: Any, several: Any, columns: Any, number: int, watch: Any) -> None:
    """Standard deviation of the last months; NaN with fewer than two observed."""
    place, row, trend = columns[number, 0], columns[number, 1], columns[number, 3]
    mine = watch[row]
    for who in range(squares.shape[2]):
        months = several[trend, mine, who]
        out[place, who] = np.sqrt(squares[trend, row, who] / max(months, 1.0)) if months > 1 else np.nan


@compiled
def _vs_self(out: Any, totals: Any, numbers: Any, columns: Any, number: int, watch: Any, own: int) -> None:
    place, row, window = columns[number, 0], columns[number, 1], columns[number, 3]
    mine = watch[row]
    for who in range(totals.shape[2]):
        months, whole = numbers[window, mine, who], numbers[own, mine, who]
        apart = totals[window, row, who] / months - totals[own, row, who] / whole
        out[place, who] = apart if months > 0 and whole > 0 else np.nan


@compiled
def _decay(out: Any, decays: Any, columns: Any, number: int, decayed: Any) -> None:
    place, row, half_life = columns[number, 0], decayed[columns[number, 1]], columns[number, 3]
    for who in range(decays.shape[2]):
        out[place, who] = decays[row, half_life, who]


@compiled
def _months_since(
    out: Any, latest: Any, month_of: Any, epoch: int, columns: Any, number: int, measure: Any, as_of: int
) -> None:
    place, key = columns[number, 0], measure[columns[number, 1]]
    for who in range(latest.shape[1]):
        day = latest[key, who]
        out[place, who] = np.nan if day == NO_DAY else as_of - month_of[day - epoch]


@compiled
def _days_since(out: Any, latest: Any, columns: Any, number: int, measure: Any, day: int) -> None:
    place, key = columns[number, 0], measure[columns[number, 1]]
    for who in range(latest.shape[1]):
        out[place, who] = np.nan if latest[key, who] == NO_DAY else day - latest[key, who]


@compiled
def _ever(out: Any, latest: Any, columns: Any, number: int, measure: Any) -> None:
    place, key = columns[number, 0], measure[columns[number, 1]]
    for who in range(latest.shape[1]):
        out[place, who] = 0.0 if latest[key, who] == NO_DAY else 1.0
