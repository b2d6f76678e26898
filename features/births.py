"""The rows of an export by the month of their birth, compiled: from when on each counts, and which need more care.

What becomes of them is in features.cells.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from features.cells import Cells, Plain, Rows, compiled, inlined
from features.histories.tables import Floats, Ints
from features.months import NO_DAY

NEVER = np.iinfo(np.int32).max
LINE = 16
"""So many rows apart stand the months: the first rows of months of the same size would share lines of the cache."""


class Entries(NamedTuple):
    """Rows as they stand in an export; ``month_of`` is the month of each day from ``epoch`` on.

    ``began`` is empty where there is no long work, ``born`` and ``died`` where no row ends another: then each is born
    in the month of its recording. ``spread`` says of which measures long work is spread over its months.
    """

    officer: Ints
    measure: Ints
    occurred: Ints
    recorded: Ints
    began: Ints
    value: Floats
    born: Ints
    died: Ints
    spread: npt.NDArray[np.bool_]
    epoch: int
    month_of: Ints


class Extent(NamedTuple):
    """What a cube has room for: months from ``base`` to ``last``, officers from ``first`` on."""

    base: int
    last: int
    first: int
    officers: int


@compiled
def by_birth(given: Any, room: Any) -> Any:
    """Return the plain rows and the others, each by month of birth; rows that never count by the last are in neither.

    A cell that has one row of the others has no plain ones: its rows are added in the export's order.
    """
    where = np.zeros(len(given.officer), dtype=np.int16)
    if _month_by_month(given, room, where):
        _leave_their_cells(given, room, where)
    return _plain(given, room, where), _others(given, room, where)


@compiled
def _month_by_month(given: Any, room: Any, where: Any) -> Any:
    """Write for each row its month of birth from 1 on, negative where it is not plain; return whether any is not."""
    others = False
    for row in range(len(where)):
        month, length, born, died = _times(given, row)
        if born < died and born <= room.last:
            slot = max(born - room.base, 0) + 1
            plain = born == month and length == 1 and died == NEVER and born >= room.base
            where[row] = slot if plain else -slot
            others |= not plain
    return others


@inlined
def _times(given: Any, row: int) -> Any:
    """The month of a row, over how many months it is spread, and the months of its birth and its end."""
    occurred, length, died = given.occurred[row], 1, NEVER
    month = given.month_of[occurred - given.epoch]
    if len(given.began):
        began = given.began[row]
        if began != NO_DAY and began < occurred and given.spread[given.measure[row]]:
            length = month - given.month_of[began - given.epoch] + 1
    if len(given.born):
        born, died = given.born[row], given.died[row]
    else:
        born = given.month_of[given.recorded[row] - given.epoch]
    return month, length, born, died


@compiled
def _leave_their_cells(given: Any, room: Any, where: Any) -> None:
    """Count rows among the others that share a cell with one of them."""
    measures, months = len(given.spread), room.last - room.base + 1
    shared = np.zeros((months, measures, room.officers), dtype=np.bool_)
    for row in range(len(where)):
        if where[row] < 0:
            month, length, _, _ = _times(given, row)
            for slot in range(month - length + 1 - room.base, min(month - room.base + 1, months)):
                shared[max(slot, 0), given.measure[row], given.officer[row] - room.first] = True
    for row in range(len(where)):
        if where[row] > 0 and shared[where[row] - 1, given.measure[row], given.officer[row] - room.first]:
            where[row] = -where[row]


@compiled
def _bounds(where: Any, sign: int, months: int) -> Any:
    bounds = np.zeros(months + 1, dtype=np.int64)
    for row in range(len(where)):
        if where[row] * sign > 0:
            bounds[where[row] * sign] += 1
    return np.cumsum(bounds)


@compiled
def _plain(given: Any, room: Any, where: Any) -> Any:
    months = room.last - room.base + 1
    begins = _bounds(where, 1, months) + LINE * np.arange(months + 1)
    size, ends = begins[-1], begins.copy()
    measure, officer = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
    occurred, value = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.float64)
    measures, officers, days, values = given.measure, given.officer, given.occurred, given.value
    for row in range(len(where)):
        if where[row] > 0:
            to = ends[where[row] - 1]
            ends[where[row] - 1] = to + 1
            measure[to], officer[to], occurred[to] = measures[row], officers[row] - room.first, days[row]
            value[to] = 1.0 if np.isnan(values[row]) else values[row]
    return Plain(begins[:-1], ends[:-1], measure, officer, occurred, value)


@inlined
def _value(given: Any, row: int) -> Any:
    """The value of a row that counts: an empty one is 1."""
    return 1.0 if np.isnan(given.value[row]) else given.value[row]


@compiled
def _others(given: Any, room: Any, where: Any) -> Any:
    bounds = _bounds(where, -1, room.last - room.base + 1)
    size, following = bounds[-1], bounds.copy()
    measure, officer = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
    occurred, month = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
    length, value = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.float64)
    born, died = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
    source = np.empty(size, dtype=np.int64)
    for row in range(len(where) if size else 0):
        if where[row] < 0:
            to = following[-where[row] - 1]
            following[-where[row] - 1] += 1
            month[to], length[to], born[to], died[to] = _times(given, row)
            measure[to], officer[to] = given.measure[row], given.officer[row] - room.first
            occurred[to], value[to], source[to] = given.occurred[row], _value(given, row), row
    return Rows(bounds, measure, officer, occurred, month, length, value, born, died, source)


@compiled
def come_again(event: Cells) -> Any:
    """Return the rows whose event_id (-1: none) comes again."""
    top = -1
    for row in range(len(event)):
        top = max(top, event[row])
    times, several = np.zeros(top + 1, dtype=np.uint8), 0
    for row in range(len(event)):
        if event[row] >= 0:
            several += times[event[row]] > 0
            times[event[row]] = min(times[event[row]] + 1, 2)
    found, size = np.empty(2 * several, dtype=np.int64), 0
    for row in range(len(event) if several else 0):
        if event[row] >= 0 and times[event[row]] > 1:
            found[size] = row
            size += 1
    return found[:size]
