"""The table of feature statistics: adding one is a function and a row here.

Each function sees one measure at one as-of for all officers (`Seen`) and returns one number each, NaN where
unknown. What needs other people (peers, unit) or days is at the end; the engine says to whom it applies.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.histories.tables import Floats, Ints
from features.months import NO_DAY, last_day, month_of_day
from features.profile import Measure, Settings, Text

FEWEST = 5
"""No figure of a group of fewer persons: a team of one would leak through an average."""

Days = npt.NDArray[np.uint32]
LONG_DAYS = 31


@dataclass(frozen=True)
class Moments:
    """Sums over a window of months: all values, how many months were observed, and where."""

    total: Floats
    observed: Floats

    @property
    def mean(self) -> Floats:
        """Mean of the observed months; NaN where none was."""
        return self.total / np.where(self.observed > 0, self.observed, np.nan)


@dataclass(frozen=True)
class Seen:
    """One measure as known at an as-of: ``value`` and ``observed`` are [month, officer], oldest month first.

    ``moments`` by window length; ``decays`` by half-life; ``last`` the last day of an event (NO_DAY: never).
    """

    as_of: int
    value: Floats
    observed: npt.NDArray[np.bool_]
    count: Ints
    last: Ints
    moments: Mapping[int, Moments]
    decays: Mapping[int, Floats]


def moments(value: Floats, observed: npt.NDArray[np.bool_], windows: tuple[int, ...]) -> dict[int, Moments]:
    """Return the moments of each window, added newest month first, so that results never depend on array shape."""
    total, number = np.zeros(value.shape[1]), np.zeros(value.shape[1])
    found = {}
    for age in range(max(windows)):
        if age < len(value):
            month = value[-1 - age]
            total = total + np.where(np.isnan(month), 0.0, month)
            number = number + observed[-1 - age]
        if age + 1 in windows:
            found[age + 1] = Moments(total, number)
    return found


def total(seen: Seen, window: int) -> Floats:
    """Sum over the window."""
    return seen.moments[window].total


def mean(seen: Seen, window: int) -> Floats:
    """Mean per month over the months of the window that were observed."""
    return seen.moments[window].mean


def records(seen: Seen, window: int) -> Floats:
    """Number of records in the window."""
    number = np.zeros(seen.count.shape[1])
    for month in seen.count[-window:]:
        number = number + month
    return number


def slope(seen: Seen, window: int) -> Floats:
    """Least-squares trend over the window, in units per month; NaN with fewer than three observed months."""
    value, known = seen.value[-window:], seen.observed[-window:]
    ages = range(len(value) - 1, -1, -1)
    number = _added(known)
    safe = np.where(number > 0, number, np.nan)
    middle = _added(np.where(known, value, 0.0)) / safe
    when = _added(np.stack([np.where(row, -float(age), 0.0) for row, age in zip(known, ages, strict=True)])) / safe
    across, along = np.zeros(value.shape[1]), np.zeros(value.shape[1])
    for row, there, age in zip(value, known, ages, strict=True):
        away = np.where(there, -age - when, 0.0)
        across = across + away * np.where(there, row - middle, 0.0)
        along = along + away * away
    return np.where(number >= 3, across / np.where(along > 0, along, np.nan), np.nan)


def spread(seen: Seen, window: int) -> Floats:
    """Standard deviation of the observed months of the window; NaN with fewer than two."""
    value, known = seen.value[-window:], seen.observed[-window:]
    number = _added(known)
    safe = np.where(number > 1, number, np.nan)
    middle = _added(np.where(known, value, 0.0)) / safe
    return np.sqrt(_added(np.where(known, (value - middle) ** 2, 0.0)) / safe)


def vs_self(seen: Seen, window: int) -> Floats:
    """Mean per month of the window less the mean per month of the own twelve months."""
    return seen.moments[window].mean - seen.moments[12].mean


def decay(seen: Seen, half_life: int) -> Floats:
    """Sum of all months, each halved for every half-life that has passed since."""
    return seen.decays[half_life]


def months_since(seen: Seen, _: int) -> Floats:
    """Whole months since the month of the last record; NaN where there was never one."""
    known = seen.last != NO_DAY
    return np.where(known, seen.as_of - month_of_day(np.where(known, seen.last, 0)), np.nan)


def days_since(seen: Seen, _: int) -> Floats:
    """Days from the last record to the as-of's last day; NaN where there was never one."""
    known = seen.last != NO_DAY
    return np.where(known, last_day(seen.as_of) - np.where(known, seen.last, 0), np.nan)


def ever(seen: Seen, _: int) -> Floats:
    """1 where there ever was a record, else 0."""
    return np.where(seen.last != NO_DAY, 1.0, 0.0)


def _added(rows: npt.NDArray[np.generic]) -> Floats:
    """Add rows one by one: numpy's own order of adding depends on the array's shape."""
    out = np.zeros(rows.shape[1])
    for row in rows:
        out = out + row
    return out


@dataclass(frozen=True)
class Statistic:
    """A row of the table: the function, its windows (months; empty where it has none), to which measures it applies.

    ``text`` tells it in both languages; features.names puts the measure before it.
    """

    compute: Callable[[Seen, int], Floats]
    windows: Callable[[Settings, Measure], tuple[int, ...]]
    applies: Callable[[Measure], bool]
    text: Text


def _summed(measure: Measure) -> bool:
    return measure.aggregate == "sum"


def _rated(measure: Measure) -> bool:
    return measure.aggregate != "sum"


def _every(_: Measure) -> bool:
    return True


def _windows(settings: Settings, _: Measure) -> tuple[int, ...]:
    return settings.windows_months


def _for_means(settings: Settings, measure: Measure) -> tuple[int, ...]:
    """One month's mean of a summed measure is its sum."""
    return tuple(window for window in settings.windows_months if window > 1 or measure.aggregate != "sum")


def _half_lives(settings: Settings, _: Measure) -> tuple[int, ...]:
    return settings.half_lives_months


def _fixed(*windows: int) -> Callable[[Settings, Measure], tuple[int, ...]]:
    return lambda *_: windows


STATISTICS: dict[str, Statistic] = {
    "sum": Statistic(
        total, _windows, _summed, Text(zh="近 {months} 个月合计", en="sum of {months} months")
    ),
    "mean": Statistic(
        mean, _for_means, _every, Text(zh="近 {months} 个月月均", en="monthly mean of {months} months")
    ),
    "count": Statistic(
        records, _fixed(3, 12), _rated, Text(zh="近 {months} 个月记录数", en="records in {months} months")
    ),
    "slope": Statistic(
        slope, _fixed(6, 12), _every,
        Text(zh="近 {months} 个月趋势（每月）", en="trend over {months} months, a month"),
    ),
    "spread": Statistic(
        spread, _fixed(12), _every, Text(zh="近 {months} 个月月间波动", en="spread between {months} months")
    ),
    "vs_self": Statistic(
        vs_self, _fixed(3), _every,
        Text(zh="近 {months} 个月月均与自己 12 个月月均之差", en="monthly mean of {months} months less that of own 12"),
    ),
    "decay": Statistic(
        decay, _half_lives, _summed,
        Text(zh="历来累计（每 {months} 个月减半）", en="all so far, halved every {months} months"),
    ),
    "months_since": Statistic(
        months_since, _fixed(0), _every, Text(zh="距上次月数", en="months since the last")
    ),
    "days_since": Statistic(
        days_since, _fixed(0), _every, Text(zh="距上次天数", en="days since the last")
    ),
    "ever": Statistic(ever, _fixed(0), _every, Text(zh="是否有过", en="whether there ever was one")),
}  # fmt: skip


def vs_peers(level: Floats, group: Ints, groups: int) -> Floats:
    """Return standard deviations from the group's mean: NaN with fewer than five known, 0 where all are alike."""
    known = ~np.isnan(level)
    number = np.bincount(group[known], minlength=groups)
    safe = np.where(number >= FEWEST, number, np.nan)
    middle = np.bincount(group[known], weights=level[known], minlength=groups) / safe
    away = level - middle[group]
    variance = np.bincount(group[known], weights=away[known] ** 2, minlength=groups) / safe
    deviation = np.sqrt(variance)[group]
    return np.where(
        deviation > 1e-12,
        away / np.where(deviation > 0, deviation, 1.0),
        np.where(np.isnan(away), np.nan, 0.0),
    )


def without_self(level: Floats, group: Ints, groups: int) -> Floats:
    """Return the mean of the others in the group; NaN where fewer than four others are known."""
    known = ~np.isnan(level)
    number = np.bincount(group[known], minlength=groups)[group] - known
    total_ = np.bincount(group[known], weights=level[known], minlength=groups)[group] - np.where(known, level, 0.0)
    return total_ / np.where(number >= FEWEST - 1, number, np.nan)


def in_a_row(days: Days, lengths: Ints) -> Floats:
    """Return the longest run of successive days; ``days`` is [month, officer] of bits, ``lengths`` the months' days."""
    run, best = np.zeros(days.shape[1]), np.zeros(days.shape[1])
    for month, length in zip(days, lengths, strict=True):
        for day in range(int(length)):
            run = (run + 1) * ((month >> np.uint32(day)) & np.uint32(1))
            best = np.maximum(best, run)
    return best


def followed(first: Days, then: Days, lengths: Ints, *, days_apart: int) -> Floats:
    """Return how many days of ``first`` had ``then`` so many days (0 or 1) later, within the months given."""
    found = np.zeros(first.shape[1])
    for number in range(len(first)):
        if days_apart == 0:
            found = found + np.bitwise_count(first[number] & then[number])
            continue
        found = found + np.bitwise_count(first[number] & (then[number] >> np.uint32(1)))
        if number + 1 < len(first):
            last = (first[number] >> np.uint32(lengths[number] - 1)) & np.uint32(1)
            found = found + (last & then[number + 1] & np.uint32(1))
    return found
