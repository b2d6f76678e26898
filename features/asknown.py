"""What was known when: cells of officer, measure and month, each with its successive values.

A cell's value at an as-of is made from the rows that were recorded by then and not yet superseded, and from
nothing else. `KnownCube` walks the months in order and holds only that, so that a leak has no place to be.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from features.cells import AGGREGATES, Cells, Cube, Members, Rows, add_rows, by_birth, cells_of, make_anew, of_several
from features.histories.tables import Events, Floats, Histories, Ints
from features.months import NO_DAY, first_day, month_of_day
from features.profile import Profile

NEVER = np.iinfo(np.int32).max
NOBODY = np.zeros(0, dtype=np.int64)
OLDEST_MONTHS = 60
"""Events more than this before the first posting of the force count as 'ever' and 'last', not in sums."""


@dataclass(frozen=True)
class Lifetimes:
    """When each row counts: from the month it was recorded (``born``) until superseded (``died``, or NEVER)."""

    born: Ints
    died: Ints
    value: Floats

    def take(self, rows: npt.NDArray[Any] | slice) -> "Lifetimes":
        """Return those of the chosen rows."""
        return Lifetimes(self.born[rows], self.died[rows], self.value[rows])


def lifetimes(events: Events) -> Lifetimes:
    """Return when each row counts and its value: an empty one is 1, or in a correction retracts.

    A correction is a row whose event_id had an earlier ``recorded_on``; it ends the life of the row before.
    """
    life = _uncorrected(events)
    several = _corrected(events)
    order = several[np.lexsort((events.recorded[several], events.event[several]))]
    same = np.diff(events.event[order], prepend=-2) == 0
    later = np.flatnonzero(same)
    life.died[order[later - 1]] = life.born[order[later]]
    retracted = order[later][np.isnan(events.value[order[later]])]
    life.died[retracted] = life.born[retracted]
    return life


def _uncorrected(events: Events) -> Lifetimes:
    """When rows count that no other row ends."""
    value = np.where(np.isnan(events.value), 1.0, events.value)
    return Lifetimes(month_of_day(events.recorded), np.full(len(events), NEVER, dtype=np.int32), value)


def _corrected(events: Events) -> Cells:
    """The rows whose event_id comes again."""
    named = np.bincount(events.event + 1)[1:]  # -1 is no event_id
    if not (named > 1).any():
        return NOBODY
    return np.flatnonzero((events.event >= 0) & (named > 1)[events.event])


@dataclass(frozen=True)
class Credits:
    """Rows as they count towards months: long work has one credit for each of its months.

    ``position`` is the row; ``share`` the part of its value; ``closes`` marks the month in which it occurred;
    ``long`` marks credits of work that spans months.
    """

    position: npt.NDArray[np.int64]
    month: Ints
    share: Floats
    closes: npt.NDArray[np.bool_]
    long: npt.NDArray[np.bool_]

    def take(self, rows: npt.NDArray[np.bool_]) -> "Credits":
        """Return the chosen credits."""
        return Credits(**{part.name: getattr(self, part.name)[rows] for part in fields(self)})


def credits(profile: Profile, events: Events, value: Floats) -> Credits:
    """Return the credits of rows; only measures that are summed are spread over the months of the work."""
    summed = np.array([profile.measures[key].aggregate == "sum" for key in profile.measure_keys])
    end = month_of_day(events.occurred)
    begins = np.where(events.began == NO_DAY, events.occurred, np.minimum(events.began, events.occurred))
    start = np.where(summed[events.measure], month_of_day(begins), end)
    length = end - start + 1
    position = np.repeat(np.arange(len(events), dtype=np.int64), length)
    first = np.cumsum(length) - length
    month = (start[position] + np.arange(len(position)) - first[position]).astype(np.int32)
    return Credits(position, month, value[position] / length[position], month == end[position], length[position] > 1)


@dataclass(frozen=True)
class Export:
    """The rows of some officers, 0 to ``officers`` - 1, when each counts, and the month with which cubes begin."""

    rows: Rows
    officers: int
    base: int

    @classmethod
    def of(cls, given: Histories, last_month: int) -> "Export":
        """Return all rows."""
        rows = _rows(given.profile, given.events, lifetimes(given.events))
        return cls(rows, len(given.officers), _base_month(given, last_month))


class Parted:
    """The rows of histories for one range of officers at a time; what rows need of each other is found once."""

    def __init__(self, given: Histories, last_month: int) -> None:
        self.profile, self.base, self.events = given.profile, _base_month(given, last_month), given.events
        self.life = lifetimes(given.events) if len(_corrected(given.events)) else None
        """When rows count; None where no row is corrected, and each part finds it alone."""
        officer = given.events.officer
        if (officer[1:] < officer[:-1]).any():
            order = np.argsort(officer, kind="stable")  # rows of a cell keep their order
            self.events, self.life = given.events.take(order), self.life and self.life.take(order)

    def export(self, first: int, after: int) -> Export:
        """Return the rows of the officers from ``first`` up to ``after``."""
        chosen = slice(*np.searchsorted(self.events.officer, np.array([first, after], dtype=np.int32)))
        events = self.events.take(chosen)
        rows = _rows(self.profile, events, self.life.take(chosen) if self.life else _uncorrected(events))
        return Export(rows._replace(officer=rows.officer - np.int32(first)), after - first, self.base)


class KnownCube:
    """Everything known by a month, for all officers: advance it month by month, then read.

    Arrays are [measure, month, officer] from ``base``: ``value`` (0 in an empty cell of a summed measure,
    NaN otherwise), ``count``, ``direct``, ``spans``, ``last`` (day, NO_DAY when empty), ``days`` (bits); ``latest``
    [measure, officer] is the last day of all. ``count`` counts rows that occurred in the month, ``direct`` those that
    are no long work, ``spans`` the long work that covers the month.

    Within a cell rows are added in the order of the export, whenever they were recorded, so that the numbers are those
    of any other way to add what was known. Cells whose rows come in one month, nearly all, are added to; others
    are made anew each time.
    """

    def __init__(self, given: Histories, *, last_month: int, export: "Export | None" = None) -> None:
        """An ``export`` holds the rows of some officers, which are numbered as it says; else all are taken."""
        export = export or Export.of(given, last_month)
        self.profile = given.profile
        self.base = export.base
        self.months = last_month - self.base + 1
        self.now = self.base - 1
        self._rows, self._births, source = by_birth(export.rows, self.base, last_month)
        self._cube = _empty_cube(given.profile, base=self.base, months=self.months, officers=export.officers)
        shape = (len(given.profile.measure_keys), self.months, export.officers)
        self.value = self._cube.value.reshape(shape)
        counts = (self._cube.rows, self._cube.direct, self._cube.spans, self._cube.last)
        self.count, self.direct, self.spans, self.last = (cells.reshape(shape) for cells in counts)
        self.days = self._cube.days.reshape(shape)
        self.latest = self._cube.latest.reshape(shape[0], shape[2])
        self._again, self._members, self._ending = self._made_anew(source)

    def advance(self, month: int) -> Cells:
        """Take in everything recorded up to ``month``; return the flat cells of earlier months that changed."""
        first, after = self._births[month - self.base], self._births[month - self.base + 1]
        late, anew = add_rows(self._cube, self._rows, self._again, first, after)
        self.now = month
        if not len(self._again):
            return np.asarray(late)
        cells, since = self._ending
        again = np.unique(np.concatenate([anew, cells[slice(*np.searchsorted(since, [month, month + 1]))]]))
        if len(again):
            make_anew(self._cube, self._rows, self._members, again, month)
        return np.concatenate([late, again])

    def slot(self, month: int) -> int:
        """Return the position of a month on the month axis."""
        return month - self.base

    def _made_anew(self, source: Cells) -> tuple[npt.NDArray[np.bool_], Members, tuple[Cells, Ints]]:
        """Which cells are made anew, their credits, and the cells of rows that end, with the month, in its order."""
        rows = self._rows
        ends, plain = rows.died != NEVER, (rows.born == rows.month) & (rows.length == 1)
        if plain.all() and not ends.any():
            nothing = np.zeros(0, dtype=np.int32)
            return nothing.astype(np.bool_), Members(NOBODY, NOBODY, nothing), (NOBODY, nothing)
        again = of_several(self._cube, rows, NEVER)
        cell, row, _ = cells_of(self._cube, rows, np.flatnonzero(ends), again)
        order = np.argsort(rows.died[row], kind="stable")
        every, owner, steps = cells_of(self._cube, rows, np.arange(len(rows.born)), again)
        kept = np.lexsort((source[owner], every))
        return again, Members(every[kept], owner[kept], steps[kept]), (cell[order], rows.died[row][order])


def _rows(profile: Profile, events: Events, life: Lifetimes) -> Rows:
    month = month_of_day(events.occurred)
    length = np.ones(len(events), dtype=np.int32)
    spread = np.flatnonzero((events.began != NO_DAY) & (events.began < events.occurred))
    summed = np.array([profile.measures[key].aggregate == "sum" for key in profile.measure_keys], dtype=bool)
    spread = spread[summed[events.measure[spread]]]
    length[spread] = month[spread] - month_of_day(events.began[spread]) + 1
    return Rows(events.measure, events.officer, events.occurred, month, length, life.value, life.born, life.died)


def _empty_cube(profile: Profile, *, base: int, months: int, officers: int) -> Cube:
    keys = profile.measure_keys
    kind = np.array([AGGREGATES[profile.measures[key].aggregate] for key in keys], dtype=np.int32)
    size, people = len(keys) * months * officers, len(keys) * officers
    averaged = kind == AGGREGATES["mean"]
    mean = (np.cumsum(averaged) - 1).astype(np.int32)
    value = np.repeat(np.where(kind == AGGREGATES["sum"], 0.0, np.nan), months * officers)
    count, direct, spans = (np.zeros(size, dtype=np.int32) for _ in range(3))
    last, latest = np.full(size, NO_DAY, dtype=np.int32), np.full(people, NO_DAY, dtype=np.int32)
    starts, days = first_day(np.arange(base, base + months)), np.zeros(size, dtype=np.uint32)
    total = np.zeros(int(averaged.sum()) * months * officers)
    return Cube(base, months, officers, kind, mean, starts, total, value, count, direct, spans, last, days, latest)


def _base_month(given: Histories, last_month: int) -> int:
    """The month of the first posting, or of work before it: what is recorded later moves no row of an earlier month."""
    earliest = last_month
    if len(given.postings.first):
        earliest = min(earliest, int(month_of_day(given.others.first_posting(int(given.postings.first.min())))))
    if not len(given.events):
        return earliest
    began = given.events.began[given.events.began != NO_DAY] if given.events.began.max() != NO_DAY else NOBODY
    first_event = int(month_of_day(min(int(began.min(initial=NEVER)), int(given.events.occurred.min()))))
    return max(earliest - OLDEST_MONTHS, min(first_event, earliest))
