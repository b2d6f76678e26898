"""The loops over cells, compiled: rows are added to cells as they are recorded, and cells made anew when rows end.

A cell is an officer, a measure and a month. What rows are, and when each counts, is decided in features.asknown.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from features.histories.tables import Floats, Ints
from features.months import NO_DAY

Cells = npt.NDArray[np.int64]

SUM, MEAN, MAX, LAST = range(4)
AGGREGATES = {"sum": SUM, "mean": MEAN, "max": MAX, "last": LAST}


class Plain(NamedTuple):
    """Rows recorded in the month in which they occurred, that nothing ends, in cells that have no others: nearly all.

    They stand by month, those of the cube's month i from ``begins[i]`` to ``ends[i]``, in the export's order.
    """

    begins: Cells
    ends: Cells
    measure: Ints
    officer: Ints
    occurred: Ints
    value: Floats


class Rows(NamedTuple):
    """All other rows that ever count, by month of birth: where they count, how much, from which month until which.

    ``month`` is the month in which the row occurred, ``length`` over how many months up to it its value is spread.
    Those of the cube's month i stand from ``bounds[i]`` to ``bounds[i + 1]``; what was born before comes with the
    first. ``source`` is the row's place in the export.
    """

    bounds: Cells
    measure: Ints
    officer: Ints
    occurred: Ints
    month: Ints
    length: Ints
    value: Floats
    born: Ints
    died: Ints
    source: Cells


class Cube(NamedTuple):
    """Flat arrays of [month, measure, officer]: what is known; ``latest`` of [measure, officer], the last day of all.

    ``kind`` is each measure's aggregate, ``starts`` the first day of each month from ``base``; ``total`` holds the
    sums of the measures that are averaged, ``mean`` the place of each of them there.
    """

    base: int
    months: int
    officers: int
    kind: Ints
    mean: Ints
    starts: Ints
    total: Floats
    value: Floats
    rows: Ints
    direct: Ints
    spans: Ints
    last: Ints
    days: npt.NDArray[np.uint32]
    latest: Ints


class Anew(NamedTuple):
    """The cells that are made anew whenever one of their rows comes or ends: ``mask`` (empty where there are none).

    ``cell`` (ascending), ``row`` (in the order of the export) and ``step`` are all their credits; ``ending`` are the
    cells of rows that end, by month: ``since``.
    """

    mask: npt.NDArray[np.bool_]
    cell: Cells
    row: Cells
    step: Ints
    ending: Cells
    since: Ints


def compiled(function: Any) -> Any:
    """Return the function compiled, kept on disk, and free of the interpreter's lock."""
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)


def inlined(function: Any) -> Any:
    """Return the function compiled into each of those that call it: a call would hand over every array."""
    return numba.njit(cache=True, nogil=True, inline="always", error_model="numpy")(function)


@compiled
def advance(cube: Any, plain: Any, rows: Any, anew: Any, month: int) -> Any:
    """Take in everything recorded in a month; return the flat cells of earlier months that changed."""
    _add_plain(cube, plain, month - cube.base)
    late, again = _add_rows(cube, rows, anew.mask, month - cube.base)
    if not len(anew.mask):
        return late
    first, after = np.searchsorted(anew.since, month), np.searchsorted(anew.since, month + 1)
    cells = np.unique(np.concatenate((again, anew.ending[first:after])))
    _make_anew(cube, rows, anew, cells, month)
    return np.concatenate((late, cells))


@compiled
def _add_plain(cube: Any, plain: Any, slot: int) -> None:
    value, number, direct, days, kind = cube.value, cube.rows, cube.direct, cube.days, cube.kind
    lasts, latest, people, begins = cube.last, cube.latest, np.uint64(cube.officers), cube.starts[slot]
    first, after = plain.begins[slot], plain.ends[slot]
    measures, officers = plain.measure[first:after], plain.officer[first:after]
    occurred, shares = plain.occurred[first:after], plain.value[first:after]
    slab = np.uint64(slot) * np.uint64(len(kind)) * people
    for row in range(len(measures)):
        measure, day = np.uint64(measures[row]), occurred[row]
        ever = measure * people + np.uint64(officers[row])
        at = slab + ever
        if kind[measure] == SUM:
            value[at] += shares[row]
        else:
            _put(cube, at, measure, shares[row], lasts[at] <= day)
        if day > lasts[at]:
            lasts[at], latest[ever] = day, max(latest[ever], day)
        number[at] += 1
        direct[at] += 1
        days[at] |= np.uint32(1) << np.uint32(day - begins)


@compiled
def _put(cube: Any, at: int, measure: int, share: float, newer: bool) -> None:
    """Put a share into a cell of a measure that is not summed."""
    number, kind = cube.rows[at], cube.kind[measure]
    if kind == MEAN:
        measures, people = np.uint64(len(cube.kind)), np.uint64(cube.officers)
        slot, officer = at // (measures * people), at % people
        there = (np.uint64(cube.mean[measure]) * np.uint64(cube.months) + slot) * people + officer
        cube.total[there] = share if number == 0 else cube.total[there] + share
        cube.value[at] = cube.total[there] / (number + 1)
    elif number == 0 or (kind == MAX and share > cube.value[at]) or (kind == LAST and newer):
        cube.value[at] = share


@compiled
def _add_rows(cube: Any, rows: Any, again: Any, slot: int) -> Any:
    """Add the rows born in a month, but for cells to be made anew (a mask ``again``).

    Returns the flat cells of months before their birth that changed, and those that are to be made anew.
    """
    first, after = rows.bounds[slot], rows.bounds[slot + 1]
    size = 0
    for row in range(first, after):
        size += rows.length[row]
    late, found = np.empty(size, dtype=np.int64), 0
    anew, several = np.empty(size, dtype=np.int64), 0
    for row in range(first, after):
        for step in range(rows.length[row]):
            cell = _cell(cube, rows, row, step)
            if cell < 0:
                continue
            if len(again) and again[cell]:
                anew[several] = cell
                several += 1
                continue
            _add(cube, rows, row, step)
            if rows.month[row] - rows.length[row] + 1 + step < rows.born[row]:
                late[found] = cell
                found += 1
    return late[:found], anew[:several]


@compiled
def _add(cube: Any, rows: Any, row: int, step: int) -> None:
    """Add one month's share of a row to its cell."""
    length = rows.length[row]
    slot = rows.month[row] - length + 1 + step - cube.base
    measure, officer, occurred = np.uint64(rows.measure[row]), np.uint64(rows.officer[row]), rows.occurred[row]
    closes, ever = step == length - 1, measure * np.uint64(cube.officers) + officer
    at = np.uint64(max(slot, 0)) * np.uint64(len(cube.latest)) + ever
    before = cube.last[at]
    if closes and occurred > before:
        cube.last[at] = occurred
        cube.latest[ever] = max(cube.latest[ever], occurred)
    if slot < 0:
        return
    share = rows.value[row] / length
    if cube.kind[measure] == SUM:
        cube.value[at] += share
    else:
        _put(cube, at, measure, share, occurred >= before)
    if length > 1:
        cube.spans[at] += 1
    if closes:
        cube.rows[at] += 1
        cube.direct[at] += length == 1
        cube.days[at] |= np.uint32(1) << np.uint32(occurred - cube.starts[slot])


@inlined
def _cell(cube: Any, rows: Any, row: int, step: int) -> Any:
    """The flat cell of a credit, the first month's for all before; -1 where it lies after the cube."""
    slot = rows.month[row] - rows.length[row] + 1 + step - cube.base
    if slot >= cube.months:
        return -1
    return np.int64(max(slot, 0)) * len(cube.latest) + np.int64(rows.measure[row]) * cube.officers + rows.officer[row]


@compiled
def of_several(cube: Any, rows: Any, never: int) -> Any:
    """Return which cells have rows of several months of birth, or one that ends: adding to them has no fixed order."""
    first, several = np.full(len(cube.value), -1, dtype=np.int32), np.zeros(len(cube.value), dtype=np.bool_)
    for row in range(len(rows.born)):
        for step in range(rows.length[row]):
            cell = _cell(cube, rows, row, step)
            if cell >= 0:
                if first[cell] < 0:
                    first[cell] = rows.born[row]
                several[cell] |= first[cell] != rows.born[row] or rows.died[row] != never
    return several


@compiled
def cells_of(cube: Any, rows: Any, chosen: Any, among: Any) -> Any:
    """Return the credits (flat cell, row, step) of rows, in the order given, of those cells that a mask names."""
    size = 0
    for row in chosen:
        for step in range(rows.length[row]):
            cell = _cell(cube, rows, row, step)
            size += cell >= 0 and among[cell]
    cells, owner, steps = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int32)
    found = 0
    for row in chosen:
        for step in range(rows.length[row]):
            cell = _cell(cube, rows, row, step)
            if cell >= 0 and among[cell]:
                cells[found], owner[found], steps[found] = cell, row, step
                found += 1
    return cells, owner, steps


@compiled
def _make_anew(cube: Any, rows: Any, anew: Any, cells: Any, now: int) -> None:
    """Make cells from the rows that count at month ``now``, in the export's order, and their officers' last day."""
    for at in cells:
        ever = at % len(cube.latest)
        cube.value[at] = 0.0 if cube.kind[ever // cube.officers] == SUM else np.nan
        cube.rows[at], cube.direct[at], cube.spans[at] = 0, 0, 0
        cube.last[at], cube.days[at] = NO_DAY, 0
        first, after = np.searchsorted(anew.cell, at), np.searchsorted(anew.cell, at + 1)
        for place in range(first, after):
            row = anew.row[place]
            if rows.born[row] <= now < rows.died[row]:
                _add(cube, rows, row, anew.step[place])
        latest = NO_DAY
        for slot in range(cube.months):
            latest = max(latest, cube.last[slot * len(cube.latest) + ever])
        cube.latest[ever] = latest
