"""What was known when: cells of officer, measure and month, each with its successive values.

A cell's value at an as-of is made from the rows that were recorded by then and not yet superseded, and from
nothing else. `KnownCube` walks the months in order and holds only that, so that a leak has no place to be.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from features import births
from features.births import Entries, Extent, by_birth, come_again
from features.cells import AGGREGATES, Anew, Cells, Cube, Rows, advance, cells_of, of_several
from features.histories.tables import Events, Floats, Histories, Ints
from features.months import NO_DAY, first_day, month_of_day
from features.profile import Profile

NEVER = births.NEVER
NOBODY, NO_MONTHS = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)
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
    found: Cells = come_again(events.event)
    return found


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
    """The rows of the officers from ``first`` on, when each counts, and the month with which cubes begin."""

    entries: Entries
    base: int
    first: int
    officers: int


class Parted:
    """The rows of histories for one range of officers at a time; what rows need of each other is found once."""

    def __init__(self, given: Histories, last_month: int) -> None:
        events = given.events
        self.base = _base_month(given, last_month)
        life = lifetimes(events) if len(_corrected(events)) else None
        self.entries = _entries(given.profile, events, life)
        if (events.officer[1:] < events.officer[:-1]).any():
            order = np.argsort(events.officer, kind="stable")  # rows of a cell keep their order
            self.entries = _taken(self.entries, order)

    def export(self, first: int, after: int) -> Export:
        """Return the rows of the officers from ``first`` up to ``after``."""
        chosen = slice(*np.searchsorted(self.entries.officer, np.array([first, after], dtype=np.int32)))
        return Export(_taken(self.entries, chosen), self.base, first, after - first)

    def of_measures(self, measures: npt.NDArray[np.bool_], officers: int, *, since: int) -> Export:
        """Return everyone's rows of some measures, and whatever is long work, that occurred from a month on.

        All that is known of them in those months is made of these: a cube begins with the first.
        """
        kept = measures[self.entries.measure]
        if len(self.entries.began):
            kept |= self.entries.began != NO_DAY
        kept &= self.entries.occurred >= first_day(since)
        return Export(_taken(self.entries, np.flatnonzero(kept)), max(self.base, since), 0, officers)


class KnownCube:
    """Everything known by a month, for all officers: advance it month by month, then read.

    Arrays are [measure, month, officer] from ``base``: ``value`` (0 in an empty cell of a summed measure,
    NaN otherwise), ``count``, ``direct``, ``spans``, ``last`` (day, NO_DAY when empty), ``days`` (bits); ``latest``
    [measure, officer] is the last day of all. ``count`` counts rows that occurred in the month, ``direct`` those that
    are no long work, ``spans`` the long work that covers the month. ``cells`` holds the same as the loops want it.

    Within a cell rows are added in the order of the export, whenever they were recorded, so that the numbers are those
    of any other way to add what was known. Cells whose rows come in one month, nearly all, are added to; others
    are made anew each time.
    """

    def __init__(self, given: Histories, *, last_month: int, export: "Export | None" = None) -> None:
        """An ``export`` holds the rows of some officers, which are numbered as it says; else all are taken."""
        export = export or Parted(given, last_month).export(0, len(given.officers))
        self.profile = given.profile
        self.base = export.base
        self.months = last_month - self.base + 1
        self.now = self.base - 1
        self.plain, self.rows = by_birth(export.entries, Extent(self.base, last_month, export.first, export.officers))
        self.cells = _empty_cube(given.profile, base=self.base, months=self.months, officers=export.officers)
        self.anew = _made_anew(self.cells, self.rows)
        shape = (self.months, len(given.profile.measure_keys), export.officers)
        cells = (self.cells.rows, self.cells.direct, self.cells.spans, self.cells.last)
        self.value = self.cells.value.reshape(shape).transpose(1, 0, 2)
        self.days = self.cells.days.reshape(shape).transpose(1, 0, 2)
        self.count, self.direct, self.spans, self.last = (part.reshape(shape).transpose(1, 0, 2) for part in cells)
        self.latest = self.cells.latest.reshape(shape[1:])

    def advance(self, month: int) -> None:
        """Take in everything recorded up to ``month``."""
        advance(self.cells, self.plain, self.rows, self.anew, month)
        self.now = month

    def slot(self, month: int) -> int:
        """Return the position of a month on the month axis."""
        return month - self.base


def _entries(profile: Profile, events: Events, life: Lifetimes | None) -> Entries:
    """All rows with what is to be known of them; ``life`` None where no row ends another."""
    spread = np.array([profile.measures[key].aggregate == "sum" for key in profile.measure_keys], dtype=np.bool_)
    born, died = (life.born, life.died) if life else (NO_MONTHS, NO_MONTHS)
    began = events.began if events.began.max(initial=NO_DAY) != NO_DAY else NO_MONTHS
    first = min(int(events.occurred.min(initial=NEVER)), int(began[began != NO_DAY].min(initial=NEVER)))
    last = int(max(events.occurred.max(initial=NO_DAY), events.recorded.max(initial=NO_DAY)))
    months = month_of_day(np.arange(first, last + 1))
    return Entries(events.officer, events.measure, events.occurred, events.recorded, began, events.value, born, died,
                   spread, first, months)  # fmt: skip


def _taken(entries: Entries, rows: Cells | slice) -> Entries:
    """The chosen rows, in their order; what is empty stays so."""
    parts = ("officer", "measure", "occurred", "recorded", "began", "value", "born", "died")
    found = {name: getattr(entries, name) for name in parts}
    return entries._replace(**{name: part[rows] for name, part in found.items() if len(part)})


def _made_anew(cube: Cube, rows: Rows) -> Anew:
    """Which cells are made anew, their credits, and the cells of rows that end, with the month, in its order."""
    ends = rows.died != NEVER
    if ((rows.born == rows.month) & (rows.length == 1) & ~ends).all():
        return Anew(NO_MONTHS.astype(np.bool_), NOBODY, NOBODY, NO_MONTHS, NOBODY, NO_MONTHS)
    mask = of_several(cube, rows, NEVER)
    cell, row, _ = cells_of(cube, rows, np.flatnonzero(ends), mask)
    order = np.argsort(rows.died[row], kind="stable")
    every, owner, steps = cells_of(cube, rows, np.arange(len(rows.born)), mask)
    kept = np.lexsort((rows.source[owner], every))
    return Anew(mask, every[kept], owner[kept], steps[kept], cell[order], rows.died[row][order])


def _empty_cube(profile: Profile, *, base: int, months: int, officers: int) -> Cube:
    keys = profile.measure_keys
    kind = np.array([AGGREGATES[profile.measures[key].aggregate] for key in keys], dtype=np.int32)
    size, people = len(keys) * months * officers, len(keys) * officers
    averaged = kind == AGGREGATES["mean"]
    mean = (np.cumsum(averaged) - 1).astype(np.int32)
    value = np.tile(np.repeat(np.where(kind == AGGREGATES["sum"], 0.0, np.nan), officers), months)
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
