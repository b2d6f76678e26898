"""The statistics of one measure, compiled: each function writes one column for the officers of a tile.

`write` is what the engine calls. Which statistics there are, and to which measures they apply, features.statistics
says.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from features.cells import compiled
from features.histories.tables import Floats, Ints
from features.months import NO_DAY

TOTAL, MEAN, RECORDS, SLOPE, SPREAD, VS_SELF, DECAY, MONTHS_SINCE, DAYS_SINCE, EVER = range(10)
AT_ONCE = 256
"""So many officers are looked at at a time: their sums stay in the nearest cache."""


class Plan(NamedTuple):
    """What is computed of each measure: its number, whether it is summed, its row among the decayed ones.

    ``columns`` [column, 4] are place, statistic, window, and the window's place among ``windows`` (the half-life's
    among all half-lives); those of measure i stand from ``begins[i]`` to ``begins[i + 1]``. ``windows`` ascend;
    ``own``, ``peers`` are the places of those that people are compared over. ``recent`` months serve trends.
    """

    measure: Ints
    summed: npt.NDArray[np.bool_]
    decayed: Ints
    begins: Ints
    columns: Ints
    windows: Ints
    own: int
    peers: Ints
    recent: int


class Known(NamedTuple):
    """What is known of a tile of officers: [measure, month, officer] from month ``base``, and since when they serve.

    ``month_of`` is the month of each day from ``epoch`` on; ``decays`` [decayed measure, half-life, officer].
    """

    base: int
    value: Floats
    records: Ints
    latest: Ints
    decays: Floats
    start: Ints
    epoch: int
    month_of: Ints


class Seen(NamedTuple):
    """One measure at an as-of of some officers of the tile: ``value`` (0 where unknown) and ``there`` [month, officer].

    ``totals`` and ``numbers`` [window, officer] are their sums; ``there`` is 1 where a month is observed. Months are
    the last ones, the newest last; ``until`` is how many the cube has by then, ``day`` the as-of's last day.
    """

    first: int
    after: int
    as_of: int
    until: int
    day: int
    value: Floats
    there: Floats
    totals: Floats
    numbers: Floats


@compiled
def write(out: Any, levels: Any, known: Any, plan: Any, as_of: int, day: int) -> None:
    """Write the columns of a plan at an as-of (its last day is ``day``) to ``out`` [column, officer].

    ``levels`` [measure, window, officer] get what people are compared by: sums, or means of what is not summed.
    """
    shape = (len(plan.windows), AT_ONCE)
    totals, numbers = np.empty(shape), np.empty(shape)
    value, there = np.empty((plan.recent, AT_ONCE)), np.empty((plan.recent, AT_ONCE))
    for first in range(0, len(known.start), AT_ONCE):
        after = min(first + AT_ONCE, len(known.start))
        for row in range(len(plan.measure)):
            key, summed = plan.measure[row], plan.summed[row]
            seen = Seen(first, after, as_of, as_of - known.base + 1, day, value, there, totals, numbers)
            _add_back(seen, known, plan.windows, key, summed)
            _look_back(seen, known, key, summed)
            for number in range(plan.begins[row], plan.begins[row + 1]):
                _write_one(out, seen, known, plan, row, number)
            for place in range(len(plan.peers)):
                total, months = totals[plan.peers[place]], numbers[plan.peers[place]]
                if summed:
                    levels[row, place, first:after] = total[: after - first]
                else:
                    _mean(levels[row, place, first:after], total, months)


@compiled
def _write_one(out: Any, seen: Any, known: Any, plan: Any, row: int, number: int) -> None:
    """Write one column of one measure."""
    statistic, window, at = plan.columns[number, 1], plan.columns[number, 2], plan.columns[number, 3]
    first, after, key = seen.first, seen.after, plan.measure[row]
    column, latest = out[plan.columns[number, 0], first:after], known.latest[key, first:after]
    if statistic == TOTAL:
        column[:] = seen.totals[at, : after - first]
    elif statistic == MEAN:
        _mean(column, seen.totals[at], seen.numbers[at])
    elif statistic == RECORDS:
        _records(column, seen, known.records[key], window)
    elif statistic == SLOPE:
        slope(column, seen.value, seen.there, min(window, seen.until))
    elif statistic == SPREAD:
        _spread(column, seen.value, seen.there, min(window, seen.until))
    elif statistic == VS_SELF:
        _vs_self(column, seen, at, plan.own)
    elif statistic == DECAY:
        column[:] = known.decays[plan.decayed[row], at, first:after]
    elif statistic == MONTHS_SINCE:
        _months_since(column, latest, known, seen.as_of)
    elif statistic == DAYS_SINCE:
        _days_since(column, latest, seen.day)
    elif statistic == EVER:
        _ever(column, latest)


@compiled
def _add_back(seen: Any, known: Any, windows: Any, key: int, summed: bool) -> None:
    """Sums over each window and how many months were observed; months are added newest first."""
    first, after, until = seen.first, seen.after, seen.until
    size, start = after - first, known.start[first:after]
    for place in range(len(windows)):
        total, number, newer = seen.totals[place], seen.numbers[place], 0
        if place:
            newer = windows[place - 1]
            total[:] = seen.totals[place - 1]
            number[:] = seen.numbers[place - 1]
        else:
            total[:] = 0.0
            number[:] = 0.0
        months = min(windows[place], until)
        for age in range(newer, months):
            month = known.value[key, until - 1 - age, first:after]
            if summed:
                for who in range(size):
                    total[who] += month[who]
            else:
                for who in range(size):
                    there = not np.isnan(month[who])
                    total[who] += month[who] if there else 0.0
                    number[who] += 1.0 if there else 0.0
        if summed:
            for who in range(size):
                number[who] = max(0, min(months, known.base + until - start[who]))


@compiled
def _look_back(seen: Any, known: Any, key: int, summed: bool) -> None:
    """The last months, the newest last: values with 0 for unknown, and 1 where a month is observed.

    A summed measure is observed from the month of the first posting on, another one where it has a record.
    """
    first, after, last, start = seen.first, seen.after, len(seen.value), known.start[seen.first : seen.after]
    for age in range(min(last, seen.until)):
        month = known.value[key, seen.until - 1 - age, first:after]
        value, there, now = seen.value[last - 1 - age], seen.there[last - 1 - age], seen.as_of - age
        if summed:
            for who in range(len(month)):
                value[who] = month[who]
                there[who] = 1.0 if now >= start[who] else 0.0
        else:
            for who in range(len(month)):
                value[who] = 0.0 if np.isnan(month[who]) else month[who]
                there[who] = 0.0 if np.isnan(month[who]) else 1.0


@compiled
def _mean(column: Any, total: Any, number: Any) -> None:
    for who in range(len(column)):
        column[who] = total[who] / number[who] if number[who] > 0 else np.nan


@compiled
def _records(column: Any, seen: Any, count: Any, window: int) -> None:
    found = np.zeros(len(column))
    for month in range(max(0, seen.until - window), seen.until):
        number = count[month, seen.first : seen.after]
        for who in range(len(column)):
            found[who] += number[who]
    column[:] = found


@compiled
def slope(column: Any, value: Any, there: Any, months: int) -> None:
    """Least-squares trend over the last months; NaN with fewer than three observed."""
    officers, last = len(column), len(value)
    number, level, when = np.zeros(officers), np.zeros(officers), np.zeros(officers)
    across, along = np.zeros(officers), np.zeros(officers)
    for month in range(last - months, last):
        amount, seen, age = value[month], there[month], float(last - 1 - month)
        for who in range(officers):
            number[who] += seen[who]
            level[who] += seen[who] * amount[who]
            when[who] -= seen[who] * age
    for who in range(officers):
        several = max(number[who], 1.0)
        level[who], when[who] = level[who] / several, when[who] / several
    for month in range(last - months, last):
        amount, seen, at = value[month], there[month], float(month + 1 - last)
        for who in range(officers):
            away = seen[who] * (at - when[who])
            across[who] += away * (amount[who] - level[who])
            along[who] += away * away
    for who in range(officers):
        enough = number[who] >= 3 and along[who] > 0
        column[who] = across[who] / along[who] if enough else np.nan


@compiled
def _spread(column: Any, value: Any, there: Any, months: int) -> None:
    """Standard deviation of the last months; NaN with fewer than two observed."""
    officers, last = len(column), len(value)
    number, level, squares = np.zeros(officers), np.zeros(officers), np.zeros(officers)
    for month in range(last - months, last):
        amount, seen = value[month], there[month]
        for who in range(officers):
            number[who] += seen[who]
            level[who] += seen[who] * amount[who]
    for who in range(officers):
        level[who] = level[who] / max(number[who], 1.0)
    for month in range(last - months, last):
        amount, seen = value[month], there[month]
        for who in range(officers):
            away = amount[who] - level[who]
            squares[who] += seen[who] * away * away
    for who in range(officers):
        column[who] = np.sqrt(squares[who] / max(number[who], 1.0)) if number[who] > 1 else np.nan


@compiled
def _vs_self(column: Any, seen: Any, at: int, own: int) -> None:
    total, number, whole, months = seen.totals[at], seen.numbers[at], seen.totals[own], seen.numbers[own]
    for who in range(len(column)):
        both = number[who] > 0 and months[who] > 0
        column[who] = total[who] / number[who] - whole[who] / months[who] if both else np.nan


@compiled
def _months_since(column: Any, latest: Any, known: Any, as_of: int) -> None:
    for who in range(len(column)):
        day = latest[who]
        column[who] = np.nan if day == NO_DAY else as_of - known.month_of[day - known.epoch]


@compiled
def _days_since(column: Any, latest: Any, day: int) -> None:
    for who in range(len(column)):
        column[who] = np.nan if latest[who] == NO_DAY else day - latest[who]


@compiled
def _ever(column: Any, latest: Any) -> None:
    for who in range(len(column)):
        column[who] = 0.0 if latest[who] == NO_DAY else 1.0
