"""The table of feature statistics: adding one is a function in features.tiles.columns and a row here.

What needs other people (peers, unit) or days is at the end; the engine says to whom it applies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.cells import compiled
from features.histories.tables import Floats, Ints
from features.others import Figures
from features.others import Moments as GroupMoments
from features.profile_rows import Measure, Settings
from features.texts import Text
from features.tiles import columns, figures

FEWEST = 5
"""No figure of a group of fewer persons: a team of one would leak through an average."""

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


def slope(value: Floats, observed: npt.NDArray[np.bool_]) -> Floats:
    """Return the least-squares trend over [month, officer], per month; NaN with fewer than three observed months."""
    found: Floats = figures.slope(value, observed.astype(np.float64))
    return found


@dataclass(frozen=True)
class Statistic:
    """A row of the table: its number in features.tiles.columns, its windows (months; 0: none), and where it applies.

    ``text`` tells it in both languages; features.names puts the measure before it.
    """

    number: int
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
        columns.TOTAL, _windows, _summed, Text(zh="近 {months} 个月合计", en="sum of {months} months")
    ),
    "mean": Statistic(
        columns.MEAN, _for_means, _every, Text(zh="近 {months} 个月月均", en="monthly mean of {months} months")
    ),
    "count": Statistic(
        columns.RECORDS, _fixed(3, 12), _rated, Text(zh="近 {months} 个月记录数", en="records in {months} months")
    ),
    "slope": Statistic(
        columns.SLOPE, _fixed(6, 12), _every,
        Text(zh="近 {months} 个月趋势（每月）", en="trend over {months} months, a month"),
    ),
    "spread": Statistic(
        columns.SPREAD, _fixed(12), _every, Text(zh="近 {months} 个月月间波动", en="spread between {months} months")
    ),
    "vs_self": Statistic(
        columns.VS_SELF, _fixed(3), _every,
        Text(zh="近 {months} 个月月均与自己 12 个月月均之差", en="monthly mean of {months} months less that of own 12"),
    ),
    "decay": Statistic(
        columns.DECAY, _half_lives, _summed,
        Text(zh="历来累计（每 {months} 个月减半）", en="all so far, halved every {months} months"),
    ),
    "months_since": Statistic(
        columns.MONTHS_SINCE, _fixed(0), _every, Text(zh="距上次月数", en="months since the last")
    ),
    "days_since": Statistic(
        columns.DAYS_SINCE, _fixed(0), _every, Text(zh="距上次天数", en="days since the last")
    ),
    "ever": Statistic(columns.EVER, _fixed(0), _every, Text(zh="是否有过", en="whether there ever was one")),
}  # fmt: skip


def _own(part: Figures) -> Figures:
    return part


def vs_peers(level: Floats, group: Ints, groups: int, *, told: Callable[[GroupMoments], GroupMoments] = _own) -> Floats:
    """Return standard deviations from the group's mean: NaN with fewer than five known, 0 where all are alike.

    ``told`` gives the moments of everyone for those of the officers at hand, where these are a part of a force.
    """
    return against(level, group, told(group_moments(level, group, groups)))


def group_moments(level: Floats, group: Ints, groups: int) -> GroupMoments:
    """Return the moments of the known levels of each group."""
    return GroupMoments(_group_moments(np.ascontiguousarray(level), group, groups))


def against(level: Floats, group: Ints, whole: GroupMoments) -> Floats:
    """Return standard deviations from the means of the groups."""
    found: Floats = _against(np.ascontiguousarray(level), group, whole.table)
    return found


@compiled
def _group_moments(level: Any, group: Any, groups: int) -> Any:
    table = np.zeros((5, groups))
    table[3], table[4] = np.inf, -np.inf
    number, middle, squares, lowest, highest = table[0], table[1], table[2], table[3], table[4]
    for who in range(len(level)):
        if not np.isnan(level[who]):
            number[group[who]] += 1
            middle[group[who]] += level[who]
    middle /= np.maximum(number, 1.0)
    for who in range(len(level)):
        mine = group[who]
        if not np.isnan(level[who]):
            squares[mine] += (level[who] - middle[mine]) ** 2
            lowest[mine], highest[mine] = min(lowest[mine], level[who]), max(highest[mine], level[who])
    return table


@compiled
def _against(level: Any, group: Any, whole: Any) -> Any:
    out = np.full(len(level), np.nan)
    number, middle = whole[0], whole[1]
    deviation = np.sqrt(whole[2] / np.maximum(number, 1.0))
    largest = np.maximum(np.abs(whole[3]), np.abs(whole[4]))
    for who in range(len(level)):
        mine = group[who]
        if not np.isnan(level[who]) and number[mine] >= FEWEST:
            out[who] = (level[who] - middle[mine]) / deviation[mine] if deviation[mine] > ALIKE * largest[mine] else 0.0
    return out
