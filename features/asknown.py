"""What was known when: cells of officer, measure and month, each with its successive values.

A cell's value at an as-of is made from the rows that were recorded by then and not yet superseded, and from
nothing else. `KnownCube` walks the months in order and holds only that, so that a leak has no place to be.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from features.histories.tables import Events, Floats, Histories, Ints
from features.months import NO_DAY, first_day, month_of_day
from features.profile import Profile

NEVER = np.iinfo(np.int32).max
MONTH_BITS = 16
OLDEST_MONTHS = 60
"""Events more than this before the first posting of the force count as 'ever' and 'last', not in sums."""

Cells = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lifetimes:
    """When each row counts: from the month it was recorded (``born``) until superseded (``died``, or NEVER)."""

    born: Ints
    died: Ints
    value: Floats


def lifetimes(events: Events) -> Lifetimes:
    """Return when each row counts and its value: an empty one is 1, or in a correction retracts.

    A correction is a row whose event_id had an earlier ``recorded_on``; it ends the life of the row before.
    """
    born = month_of_day(events.recorded)
    died = np.full(len(events), NEVER, dtype=np.int32)
    value = np.where(np.isnan(events.value), 1.0, events.value)
    order = np.lexsort((events.recorded, events.event))
    same = np.diff(events.event[order], prepend=-2) == 0
    same &= events.event[order] >= 0
    later = np.flatnonzero(same)
    died[order[later - 1]] = born[order[later]]
    retraction = np.zeros(len(events), dtype=bool)
    retraction[order[later]] = np.isnan(events.value[order[later]])
    died[retraction] = born[retraction]
    return Lifetimes(born, died, value)


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
class Versions:
    """The successive values of cells, sorted by the month from which each holds.

    ``cell`` = (measure * months + month) * officers + officer. ``count`` counts rows that occurred in the
    month, ``direct`` those that are not long work, ``spans`` the long work that covers the month.
    ``last`` is the last day on which a row occurred, ``days`` a bit for each day of the month with a row.
    """

    known_from: Ints
    cell: Cells
    value: Floats
    count: Ints
    direct: Ints
    spans: Ints
    last: Ints
    days: npt.NDArray[np.uint32]


def cell_versions(given: Histories, *, base: int, months: int) -> Versions:
    """Return every version of every cell within ``months`` months from ``base``."""
    events, profile = given.events, given.profile
    life = lifetimes(events)
    credit = credits(profile, events, life.value)
    alive = (life.born < life.died)[credit.position] & (credit.month < base + months)
    credit = credit.take(alive)
    row = credit.position
    slot = np.maximum(credit.month - base, 0).astype(np.int64)
    cell = (events.measure[row].astype(np.int64) * months + slot) * len(given.officers) + events.officer[row]
    change_cell, change_month, member, change = _memberships(cell, life.born[row], life.died[row])
    return _aggregated(
        given,
        credit=credit,
        base=base,
        member=member,
        change=change,
        cell=change_cell,
        known_from=change_month,
    )


def _memberships(
    cell: Cells, born: Ints, died: Ints
) -> tuple[Cells, Ints, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the change points (cell, month) and which credit counts in which of them.

    A change point is one sorted whole number, cell and month together; a credit counts in those from its own
    birth up to its death, or to the end of its cell.
    """
    ends = died != NEVER
    start = (cell << MONTH_BITS) | born
    end = np.where(ends, (cell << MONTH_BITS) | np.where(ends, died, 0), (cell + 1) << MONTH_BITS)
    key = np.sort(np.concatenate([start, end[ends]]))
    key = key[np.diff(key, prepend=-1) != 0]
    change_cell, change_month = key >> MONTH_BITS, (key & ((1 << MONTH_BITS) - 1)).astype(np.int32)
    order = np.argsort(start)  # searching in order keeps to the processor's cache
    first, after = np.empty_like(start), np.empty_like(start)
    first[order], after[order] = np.searchsorted(key, start[order]), np.searchsorted(key, end[order])
    number = after - first
    member = np.repeat(np.arange(len(cell), dtype=np.int64), number)
    change = first[member] + np.arange(len(member)) - (np.cumsum(number) - number)[member]
    return change_cell, change_month, member, change


def _aggregated(
    given: Histories,
    *,
    credit: Credits,
    base: int,
    member: npt.NDArray[np.int64],
    change: npt.NDArray[np.int64],
    cell: Cells,
    known_from: Ints,
) -> Versions:
    events, size = given.events, len(cell)
    row = credit.position[member]
    inside = credit.month[member] >= base
    closes = credit.closes[member]
    value = _cell_values(given, row=row, share=np.where(inside, credit.share[member], 0.0), change=change, size=size)
    value[np.bincount(change, weights=inside, minlength=size) == 0] = np.nan
    last = np.full(size, NO_DAY, dtype=np.int32)
    np.maximum.at(last, change[closes], events.occurred[row[closes]])
    days = np.zeros(size, dtype=np.uint32)
    shown = closes & inside
    day = events.occurred[row[shown]] - first_day(credit.month[member][shown])
    np.bitwise_or.at(days, change[shown], np.uint32(1) << day.astype(np.uint32))
    count = np.bincount(change[shown], minlength=size)
    direct = np.bincount(change[shown & ~credit.long[member]], minlength=size)
    spans = np.bincount(change[credit.long[member] & inside], minlength=size)
    order = np.argsort(known_from, kind="stable")
    return Versions(
        known_from=known_from[order],
        cell=cell[order],
        value=value[order],
        count=count[order].astype(np.int32),
        direct=direct[order].astype(np.int32),
        spans=spans[order].astype(np.int32),
        last=last[order],
        days=days[order],
    )


def _cell_values(
    given: Histories, *, row: npt.NDArray[np.int64], share: Floats, change: npt.NDArray[np.int64], size: int
) -> Floats:
    """Return one number per version by its measure's aggregate; rows are in canonical order within a cell."""
    aggregates = np.array([given.profile.measures[key].aggregate for key in given.profile.measure_keys])
    kind = aggregates[given.events.measure[row]]
    value = np.bincount(change, weights=share, minlength=size).astype(np.float64)  # of none, NumPy makes integers
    number = np.bincount(change, minlength=size)
    means = kind == "mean"
    averaged = np.unique(change[means])
    value[averaged] /= number[averaged]
    highest = np.full(size, -np.inf)
    np.maximum.at(highest, change[kind == "max"], share[kind == "max"])
    maxima = np.unique(change[kind == "max"])
    value[maxima] = highest[maxima]
    latest = kind == "last"
    value[change[latest]] = share[latest]  # rows are in order of day; the last assignment stays
    return value


class KnownCube:
    """Everything known by a month, for all officers: advance it month by month, then read.

    Arrays are [measure, month, officer] from ``base``: ``value`` (0 in an empty cell of a summed measure,
    NaN otherwise), ``count``, ``direct``, ``spans``, ``last`` (day, NO_DAY when empty), ``days`` (bits).
    """

    def __init__(self, given: Histories, *, last_month: int) -> None:
        self.profile = given.profile
        self.base = _base_month(given, last_month)
        self.months = last_month - self.base + 1
        self.now = self.base - 1
        shape = (len(given.profile.measure_keys), self.months, len(given.officers))
        self._versions = cell_versions(given, base=self.base, months=self.months)
        self._bounds = np.searchsorted(self._versions.known_from, np.arange(self.base, last_month + 2))
        self._applied = 0
        self.value = np.full(shape, np.nan)
        for number, key in enumerate(given.profile.measure_keys):
            if given.profile.measures[key].aggregate == "sum":
                self.value[number] = 0.0
        self.empty = self.value[:, 0, :1].copy()
        self.count = np.zeros(shape, dtype=np.int32)
        self.direct = np.zeros(shape, dtype=np.int32)
        self.spans = np.zeros(shape, dtype=np.int32)
        self.last = np.full(shape, NO_DAY, dtype=np.int32)
        self.days = np.zeros(shape, dtype=np.uint32)

    def advance(self, month: int) -> Cells:
        """Take in everything recorded up to ``month``; return the flat cells that changed."""
        until = int(self._bounds[month - self.base + 1])
        part = slice(self._applied, until)
        news = self._versions
        cells = news.cell[part]
        measure = cells // (self.months * self.value.shape[2])
        value = news.value[part]
        self.value.reshape(-1)[cells] = np.where(np.isnan(value), self.empty[measure, 0], value)
        for name in ("count", "direct", "spans", "last", "days"):
            getattr(self, name).reshape(-1)[cells] = getattr(news, name)[part]
        self._applied, self.now = until, month
        return cells

    def slot(self, month: int) -> int:
        """Return the position of a month on the month axis."""
        return month - self.base


def _base_month(given: Histories, last_month: int) -> int:
    earliest = [last_month]
    if len(given.postings.first):
        earliest.append(int(month_of_day(given.postings.first.min())))
    oldest = min(earliest) - OLDEST_MONTHS
    if not len(given.events):
        return min(earliest)
    began = np.where(given.events.began == NO_DAY, given.events.occurred, given.events.began)
    first_event = int(month_of_day(min(int(began.min()), int(given.events.occurred.min()))))
    return max(oldest, min(first_event, last_month))
