"""The table of feature statistics: adding one is a function and a row here.

Each function sees one measure at one as-of for all officers (`Seen`) and returns one number each, NaN where
unknown. What needs other people (peers, unit) or days is at the end; the engine says to whom it applies.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.cells import compiled
from features.histories.tables import Floats, Ints
from features.months import NO_DAY, last_day, month_of_day
from features.profile import Measure, Settings, Text

FEWEST = 5
"""No figure of a group of fewer persons: a team of one would leak through an average."""

Days = npt.NDArray[np.uint32]
ALIKE = 1e-9
"""Values of a group that differ by no more than this part of the largest are alike: the rest is rounding."""


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
    """One measure as known at an as-of, for some officers: ``value`` and ``observed`` are [month, officer].

    Months are the last ones, the oldest first; ``value`` is 0 where nothing is known, ``count`` the number of rows.
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
    """Return the moments of each window of [month, officer]; NaN counts as 0.

    Months are added newest first, so that results never depend on the array's shape.
    """
    chosen = np.array(sorted(set(windows)), dtype=np.int64)
    totals, numbers = _sums_back(value, observed, chosen)
    return {int(window): Moments(totals[i], numbers[i]) for i, window in enumerate(chosen)}


@compiled
def _sums_back(value: Any, observed: Any, windows: Any) -> Any:
    months, officers = value.shape
    totals, numbers = np.zeros((len(windows), officers)), np.zeros((len(windows), officers))
    for place in range(len(windows)):
        start = windows[place - 1] if place else 0
        if place:
            totals[place], numbers[place] = totals[place - 1], numbers[place - 1]
        for age in range(start, min(windows[place], months)):
            month, there = value[months - 1 - age], observed[months - 1 - age]
            for who in range(officers):
                totals[place, who] += 0.0 if np.isnan(month[who]) else month[who]
                numbers[place, who] += there[who]
    return totals, numbers


def total(seen: Seen, window: int) -> Floats:
    """Sum over the window."""
    return seen.moments[window].total


def mean(seen: Seen, window: int) -> Floats:
    """Mean per month over the months of the window that were observed."""
    return seen.moments[window].mean


def records(seen: Seen, window: int) -> Floats:
    """Number of records in the window."""
    found: Floats = _added(seen.count[-window:])
    return found


@compiled
def _added(rows: Any) -> Any:
    out = np.zeros(rows.shape[1])
    for row in rows:
        for who in range(len(out)):
            out[who] += row[who]
    return out


def slope(seen: Seen, window: int) -> Floats:
    """Least-squares trend over the window, in units per month; NaN with fewer than three observed months."""
    found: Floats = _slope(seen.value[-window:], seen.observed[-window:])
    return found


@compiled
def _slope(value: Any, known: Any) -> Any:
    months, officers = value.shape
    number, level, when = np.zeros(officers), np.zeros(officers), np.zeros(officers)
    across, along = np.zeros(officers), np.zeros(officers)
    for month in range(months):
        for who in range(officers):
            there = 1.0 if known[month, who] else 0.0
            number[who] += there
            level[who] += there * value[month, who]
            when[who] -= there * (months - 1 - month)
    for month in range(months):
        for who in range(officers):
            there, several = 1.0 if known[month, who] else 0.0, max(number[who], 1.0)
            away = there * (month + 1 - months - when[who] / several)
            across[who] += away * (value[month, who] - level[who] / several)
            along[who] += away * away
    return np.where((number >= 3) & (along > 0), across / np.where(along > 0, along, 1.0), np.nan)


def spread(seen: Seen, window: int) -> Floats:
    """Standard deviation of the observed months of the window; NaN with fewer than two."""
    found: Floats = _spread(seen.value[-window:], seen.observed[-window:])
    return found


@compiled
def _spread(value: Any, known: Any) -> Any:
    months, officers = value.shape
    number, level, squares = np.zeros(officers), np.zeros(officers), np.zeros(officers)
    for month in range(months):
        for who in range(officers):
            there = 1.0 if known[month, who] else 0.0
            number[who] += there
            level[who] += there * value[month, who]
    for month in range(months):
        for who in range(officers):
            away = value[month, who] - level[who] / max(number[who], 1.0)
            squares[who] += (1.0 if known[month, who] else 0.0) * away * away
    return np.where(number > 1, np.sqrt(squares / np.maximum(number, 1.0)), np.nan)


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
    found: Floats = _vs_peers(np.ascontiguousarray(level), group, groups)
    return found


@compiled
def _vs_peers(level: Any, group: Any, groups: int) -> Any:
    number, middle, variance = np.zeros(groups), np.zeros(groups), np.zeros(groups)
    largest = np.zeros(groups)
    out = np.full(len(level), np.nan)
    for who in range(len(level)):
        if not np.isnan(level[who]):
            number[group[who]] += 1
            middle[group[who]] += level[who]
    middle /= np.maximum(number, 1.0)
    for who in range(len(level)):
        if not np.isnan(level[who]):
            variance[group[who]] += (level[who] - middle[group[who]]) ** 2
            largest[group[who]] = max(largest[group[who]], abs(level[who]))
    deviation = np.sqrt(variance / np.maximum(number, 1.0))
    for who in range(len(level)):
        mine = group[who]
        if not np.isnan(level[who]) and number[mine] >= FEWEST:
            out[who] = (level[who] - middle[mine]) / deviation[mine] if deviation[mine] > ALIKE * largest[mine] else 0.0
    return out


def without_self(level: Floats, group: Ints, groups: int) -> Floats:
    """Return the mean of the others in the group; NaN where fewer than four others are known."""
    found: Floats = _without_self(np.ascontiguousarray(level), group, groups)
    return found


@compiled
def _without_self(level: Any, group: Any, groups: int) -> Any:
    number, whole = np.zeros(groups), np.zeros(groups)
    out = np.full(len(level), np.nan)
    for who in range(len(level)):
        if not np.isnan(level[who]):
            number[group[who]] += 1
            whole[group[who]] += level[who]
    for who in range(len(level)):
        mine, known = group[who], not np.isnan(level[who])
        others = number[mine] - known
        if others >= FEWEST - 1:
            out[who] = (whole[mine] - (level[who] if known else 0.0)) / others
    return out


def in_a_row(days: Days, lengths: Ints) -> Floats:
    """Return the longest run of successive days; ``days`` is [month, officer] of bits, ``lengths`` the months' days."""
    found: Floats = _in_a_row(np.ascontiguousarray(days), lengths)
    return found


@compiled
def _in_a_row(days: Any, lengths: Any) -> Any:
    best = np.zeros(days.shape[1])
    for who in range(days.shape[1]):
        run = 0
        for month in range(len(lengths)):
            for day in range(lengths[month]):
                run = (run + 1) * ((days[month, who] >> np.uint32(day)) & np.uint32(1))
                best[who] = max(best[who], run)
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
