"""Officers beside their peers and their unit, compiled: all levels at once, an officer's side by side.

The same as `features.statistics.vs_peers` does for one level, and the mean of the others of a unit.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from features.cells import compiled
from features.histories.tables import Floats, Ints
from features.others import Moments, Sums
from features.statistics import ALIKE, FEWEST

NOBODY = np.iinfo(np.int32).max


class Groups(NamedTuple):
    """Of each [as-of, post, level]: how many are known, their mean, squares from it, lowest and highest."""

    number: Floats
    middle: Floats
    squares: Floats
    lowest: Floats
    highest: Floats

    def of(self, as_of: int, level: int) -> Moments:
        """Return those of one level."""
        return Moments(np.stack([part[as_of, :, level] for part in self]))

    def put(self, as_of: int, level: int, whole: Moments) -> None:
        """Put others in the place of those of one level."""
        for part, row in zip(self, whole.table, strict=True):
            part[as_of, :, level] = row


class Units(NamedTuple):
    """Of each [as-of, unit, level]: how many are known, and their sum."""

    number: Floats
    whole: Floats

    def of(self, as_of: int, level: int) -> Sums:
        """Return those of one level."""
        there = np.flatnonzero(self.number[as_of, :, level])
        return Sums(there, np.stack([part[as_of, there, level] for part in self]))

    def put(self, as_of: int, level: int, whole: Sums) -> None:
        """Put others in the place of those of one level."""
        self.number[as_of, :, level], self.whole[as_of, :, level] = whole.dense(self.number.shape[1])


class Beside(NamedTuple):
    """Who is beside whom at some as-ofs: the members of as-of i are ``starts[i]`` to ``starts[i + 1]``, ascending.

    ``place`` is that of their rows. ``columns`` [column, 3] are place, level, and 0 for peers, 1 for the unit; what
    is ``hidden`` of levels stays unknown of those ``barred``.
    """

    starts: npt.NDArray[np.int64]
    officer: Ints
    post: Ints
    unit: Ints
    place: npt.NDArray[np.int64]
    barred: npt.NDArray[np.bool_]
    columns: Ints
    hidden: npt.NDArray[np.bool_]


@compiled
def post_moments(levels: Any, starts: Any, group: Any, groups: int) -> Any:
    """Return the Groups of ``levels`` [member, level]."""
    shape = (len(starts) - 1, groups, levels.shape[1])
    number, middle, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    lowest, highest = np.full(shape, np.inf), np.full(shape, -np.inf)
    _add(number, middle, levels, starts, group)
    middle /= np.maximum(number, 1.0)
    for as_of in range(len(starts) - 1):
        for who in range(starts[as_of], starts[as_of + 1]):
            mine = group[who]
            for level in range(levels.shape[1]):
                amount = levels[who, level]
                away = amount - middle[as_of, mine, level]
                squares[as_of, mine, level] += 0.0 if np.isnan(amount) else away * away
                low, high = lowest[as_of, mine, level], highest[as_of, mine, level]
                lowest[as_of, mine, level] = min(low, amount)
                highest[as_of, mine, level] = max(high, amount)
    return Groups(number, middle, squares, lowest, highest)


@compiled
def unit_sums(levels: Any, starts: Any, unit: Any, units: int) -> Any:
    """Return the Units of ``levels`` [member, level]."""
    shape = (len(starts) - 1, units, levels.shape[1])
    number, whole = np.zeros(shape), np.zeros(shape)
    _add(number, whole, levels, starts, unit)
    return Units(number, whole)


@compiled
def _add(number: Any, whole: Any, levels: Any, starts: Any, group: Any) -> None:
    for as_of in range(len(starts) - 1):
        for who in range(starts[as_of], starts[as_of + 1]):
            mine = group[who]
            for level in range(levels.shape[1]):
                amount = levels[who, level]
                number[as_of, mine, level] += 0.0 if np.isnan(amount) else 1.0
                whole[as_of, mine, level] += 0.0 if np.isnan(amount) else amount


@compiled
def write_beside(values: Any, levels: Any, whose: Any, posts: Any, units: Any) -> None:
    """Write officers' standard deviations from the mean of their post, and the mean of the others of their unit.

    An officer's rows stand together, so that all as-ofs of one are written before those of the next.
    """
    middle, deviation = _measured(posts)
    following, ends, officers = whose.starts[:-1].copy(), whose.starts[1:], whose.officer
    found, post, unit, number, whole = np.empty((2, levels.shape[1])), whose.post, whose.unit, units.number, units.whole
    place, barred, columns, hidden = whose.place, whose.barred, whose.columns, whose.hidden
    for _ in range(len(officers)):
        next_one = _first(following, ends, officers)
        if next_one == NOBODY:
            break
        for as_of in range(len(ends)):
            who = following[as_of]
            if who < ends[as_of] and officers[who] == next_one:
                following[as_of] += 1
                _against(found, levels, who, middle, deviation, as_of, post[who])
                _without(found, levels, who, number, whole, as_of, unit[who])
                _write(values, place[who], found, columns)
                if barred[who]:
                    _hide(values, place[who], columns, hidden)


@compiled
def _measured(posts: Any) -> Any:
    """The mean and the standard deviation of each post and level: NaN for a few, infinite where all are alike."""
    deviation = np.sqrt(posts.squares / np.maximum(posts.number, 1.0))
    alike = deviation <= ALIKE * np.maximum(np.abs(posts.lowest), np.abs(posts.highest))
    return np.where(posts.number < FEWEST, np.nan, posts.middle), np.where(alike, np.inf, deviation)


@compiled
def _first(following: Any, ends: Any, officers: Any) -> int:
    first = NOBODY
    for as_of in range(len(ends)):
        if following[as_of] < ends[as_of]:
            first = min(first, officers[following[as_of]])
    return first


@compiled
def _against(found: Any, levels: Any, who: int, middle: Any, deviation: Any, as_of: int, post: int) -> None:
    for level in range(levels.shape[1]):
        apart = levels[who, level] - middle[as_of, post, level]
        found[0, level] = apart / deviation[as_of, post, level] + 0.0  # no zero is negative


@compiled
def _without(found: Any, levels: Any, who: int, number: Any, whole: Any, as_of: int, unit: int) -> None:
    for level in range(levels.shape[1]):
        amount = levels[who, level]
        known = not np.isnan(amount)
        others = number[as_of, unit, level] - (1.0 if known else 0.0)
        mean = (whole[as_of, unit, level] - (amount if known else 0.0)) / others
        found[1, level] = mean if others >= FEWEST - 1 else np.nan


@compiled
def _write(values: Any, row: int, found: Any, columns: Any) -> None:
    for column in range(len(columns)):
        place, level, kind = columns[column, 0], columns[column, 1], columns[column, 2]
        values[row, np.uint64(place)] = found[np.uint64(kind), np.uint64(level)]  # none counts from the end


@compiled
def _hide(values: Any, row: int, columns: Any, hidden: Any) -> None:
    for column in range(len(columns)):
        if hidden[columns[column, 1]]:
            values[row, columns[column, 0]] = np.nan
