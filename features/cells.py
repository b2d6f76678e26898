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


class Rows(NamedTuple):
    """The rows of an export, one entry each: where they count, how much, from which month until which.

    ``month`` is the month in which the row occurred, ``length`` over how many months up to it its value is spread.
    """

    measure: Ints
    officer: Ints
    occurred: Ints
    month: Ints
    length: Ints
    value: Floats
    born: Ints
    died: Ints


class Cube(NamedTuple):
    """Flat arrays of [measure, month, officer]: what is known; ``latest`` of [measure, officer], the last day of all.

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


class Members(NamedTuple):
    """The credits of cells that are made anew, by cell: ``cell`` ascending, ``row`` in the order of the export."""

    cell: Cells
    row: Cells
    step: Ints


def compiled(function: Any) -> Any:
    """Return the function compiled, kept on disk, and free of the interpreter's lock."""
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)


@compiled
def _add(cube: Any, rows: Any, row: int, step: int) -> int:
    """Add one month's share of a row to its cell; return the flat cell, -1 where it lies after the cube."""
    length = rows.length[row]
    slot = rows.month[row] - length + 1 + step - cube.base
    if slot >= cube.months:
        return -1
    measure, officer, occurred = np.uint64(rows.measure[row]), np.uint64(rows.officer[row]), rows.occurred[row]
    inside, closes = slot >= 0, step == length - 1
    at = (measure * np.uint64(cube.months) + np.uint64(max(slot, 0))) * np.uint64(cube.officers) + officer
    before = cube.last[at]
    if closes and occurred > before:
        cube.last[at] = occurred
        ever = measure * np.uint64(cube.officers) + officer
        cube.latest[ever] = max(cube.latest[ever], occurred)
    if inside:
        share, number, kind = rows.value[row] / length, cube.rows[at], cube.kind[measure]
        if kind == SUM:
            cube.value[at] += share
        elif kind == MEAN:
            there = (np.uint64(cube.mean[measure]) * np.uint64(cube.months) + np.uint64(slot)) * np.uint64(
                cube.officers
            ) + officer
            cube.total[there] = share if number == 0 else cube.total[there] + share
            cube.value[at] = cube.total[there] / (number + 1)
        elif number == 0 or (kind == MAX and share > cube.value[at]) or (kind == LAST and occurred >= before):
            cube.value[at] = share
        if length > 1:
            cube.spans[at] += 1
        if closes:
            cube.rows[at] = number + 1
            cube.direct[at] += length == 1
            cube.days[at] |= np.uint32(1) << np.uint32(occurred - cube.starts[slot])
    return int(at)


@compiled
def by_birth(rows: Any, base: int, last: int) -> Any:
    """Return the rows that ever count by month of birth, the bounds of the months ``base`` to ``last``, and sources.

    Within a month they keep their order; what was born before ``base`` comes with it. The sources are their places
    in the export.
    """
    bounds = np.zeros(last - base + 2, dtype=np.int64)
    for row in range(len(rows.born)):
        if rows.born[row] < rows.died[row] and rows.born[row] <= last:
            bounds[max(rows.born[row] - base, 0) + 1] += 1
    bounds = np.cumsum(bounds)
    size, following = bounds[-1], bounds.copy()
    measure, officer = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
    occurred, month = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
    length, value = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.float64)
    born, died = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
    source = np.empty(size, dtype=np.int64)
    for row in range(len(rows.born)):
        if rows.born[row] < rows.died[row] and rows.born[row] <= last:
            bucket = max(rows.born[row] - base, 0)
            to = following[bucket]
            following[bucket] += 1
            measure[to], officer[to], occurred[to] = rows.measure[row], rows.officer[row], rows.occurred[row]
            month[to], length[to], value[to] = rows.month[row], rows.length[row], rows.value[row]
            born[to], died[to], source[to] = rows.born[row], rows.died[row], row
    return Rows(measure, officer, occurred, month, length, value, born, died), bounds, source


@compiled
def add_rows(cube: Any, rows: Any, again: Any, first: int, after: int) -> Any:
    """Add the rows from ``first`` up to ``after``, but for cells to be made anew (a mask ``again``).

    Returns the flat cells of months before their birth that changed, and those that are to be made anew.
    """
    size = 0
    for row in range(first, after):
        size += rows.length[row]
    late, found = np.empty(size, dtype=np.int64), 0
    anew, several = np.empty(size, dtype=np.int64), 0
    value, number, direct, days = cube.value, cube.rows, cube.direct, cube.days
    lasts, latest, starts, kind = cube.last, cube.latest, cube.starts, cube.kind
    measures, officers, occurred, months = rows.measure, rows.officer, rows.occurred, rows.month
    lengths, shares, born, people = rows.length, rows.value, rows.born, np.uint64(cube.officers)
    for row in range(first, after):
        slot, measure, officer, day = months[row] - cube.base, np.uint64(measures[row]), officers[row], occurred[row]
        at = (measure * np.uint64(cube.months) + np.uint64(max(slot, 0))) * people + np.uint64(officer)
        plain = lengths[row] == 1 and 0 <= slot < cube.months and kind[measure] == SUM and months[row] >= born[row]
        if plain and not (len(again) and again[at]):  # nearly all: as `_add` has it, with all arrays at hand
            if day > lasts[at]:
                ever = measure * people + np.uint64(officer)
                lasts[at], latest[ever] = day, max(latest[ever], day)
            value[at] += shares[row]
            number[at] += 1
            direct[at] += 1
            days[at] |= np.uint32(1) << np.uint32(day - starts[slot])
            continue
        for step in range(lengths[row]):
            if len(again):
                cell = _cell(cube, rows, row, step)
                if cell >= 0 and again[cell]:
                    anew[several] = cell
                    several += 1
                    continue
            cell = _add(cube, rows, row, step)
            if cell >= 0 and months[row] - lengths[row] + 1 + step < born[row]:
                late[found] = cell
                found += 1
    return late[:found], anew[:several]


@numba.njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _cell(cube: Any, rows: Any, row: int, step: int) -> Any:
    slot = rows.month[row] - rows.length[row] + 1 + step - cube.base
    if slot >= cube.months:
        return -1
    return (np.int64(rows.measure[row]) * cube.months + max(slot, 0)) * cube.officers + rows.officer[row]


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
def make_anew(cube: Any, rows: Any, members: Any, cells: Any, now: int) -> None:
    """Make cells from the rows that count at month ``now``, in the export's order, and their officers' last day."""
    for at in cells:
        measure, officer = at // (cube.months * cube.officers), at % cube.officers
        cube.value[at] = 0.0 if cube.kind[measure] == SUM else np.nan
        cube.rows[at], cube.direct[at], cube.spans[at] = 0, 0, 0
        cube.last[at], cube.days[at] = NO_DAY, 0
        first, after = np.searchsorted(members.cell, at), np.searchsorted(members.cell, at + 1)
        for place in range(first, after):
            row = members.row[place]
            if rows.born[row] <= now < rows.died[row]:
                _add(cube, rows, row, members.step[place])
        latest = NO_DAY
        for slot in range(cube.months):
            latest = max(latest, cube.last[(measure * cube.months + slot) * cube.officers + officer])
        cube.latest[measure * cube.officers + officer] = latest
