"""Coverage of the data: what arrives by measure and month at the same age, units that fall silent, selection.

Recent months are never complete, so a count is compared with what was known at the same age in the past.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from features.asknown import lifetimes
from features.cohort import standing
from features.histories.tables import Histories
from features.months import month_of_day

Array = npt.NDArray[np.float64]

WINDOWS = (1, 3, 6, 13)
"""Months looked at together: a quarterly measure shows in three, a yearly one in thirteen."""
PAST_MONTHS = 36
FEWEST_PAST = 6
FEWEST_PEOPLE = 5
ALPHA = 1e-4
"""For each measure and window; with the two conditions on size below alarms are far rarer than that (README)."""
HALF, SILENT = 0.5, 0.1
YEAR = 12
ROSTER_SHRUNK = 0.7
MISSING_ZEROS = 10
"""So many persons without an event must be expected at least before their absence means anything."""


@dataclass(frozen=True)
class Arrivals:
    """Rows [series, month, age] that occurred in a month and were recorded within ``age`` months after.

    ``people`` [series, month] is how many on the roster could have had one; ``months`` ends with the as-of.
    ``clumps`` [series, window of WINDOWS] says how much more than single rows a count varies because rows come from
    few persons: the sum of the squares of what each had in a window over the sum.
    """

    subjects: tuple[str, ...]
    months: tuple[int, ...]
    rows: Array
    people: Array
    clumps: Array

    def seen(self, window: int) -> Array:
        """Return [series, month]: rows of the last ``window`` months as known at each month; NaN where too early."""
        size, months, ages = self.rows.shape
        total = np.full((size, months), np.nan)
        for last in range(window - 1, months):
            back = np.arange(window)
            total[:, last] = self.rows[:, last - back, np.minimum(back, ages - 1)].sum(axis=1)
        return total


@dataclass(frozen=True)
class Hole:
    """A series of which too little arrived: when it began; ``rows`` against ``usual`` in ``window`` months."""

    subject: str
    since: int
    window: int
    rows: float
    usual: float
    p: float


@dataclass(frozen=True)
class Artefact:
    """A measure of which nearly everyone on file has an event: ``without`` persons have none, ``expected`` at least."""

    subject: str
    people: int
    without: int
    expected: float


def arrivals_by_measure(given: Histories, as_of: int) -> Arrivals:
    """Return what arrived of each measure in the months up to ``as_of``, as known then."""
    months = _months(given, as_of)
    people = np.array([float((standing(given, month).post >= 0).sum()) for month in months])
    measure = given.events.measure.astype(np.int64)
    rows = _rows(given, months, measure, len(given.profile.measure_keys))
    clumps = np.stack([_clumps(given, months, window) for window in WINDOWS], axis=1)
    return Arrivals(given.profile.measure_keys, months, rows, np.tile(people, (len(rows), 1)), clumps)


def arrivals_by_unit(given: Histories, as_of: int, *, without: Sequence[str] = ()) -> Arrivals:
    """Return what arrived from each unit (where the person stood in that month); some measures are left out."""
    months = _months(given, as_of)
    units = np.stack([standing(given, month).unit for month in months])
    people = np.stack([np.bincount(row[row >= 0], minlength=len(given.units)) for row in units], axis=1)
    month = np.clip(month_of_day(given.events.occurred) - months[0], 0, len(months) - 1)
    unit = units[month, given.events.officer].astype(np.int64)
    unit[np.isin(given.events.measure, [given.profile.measure_number[key] for key in without])] = -1
    rows, clumps = _rows(given, months, unit, len(given.units)), np.ones((len(given.units), len(WINDOWS)))
    return Arrivals(given.units, months, rows, people.astype(np.float64), clumps)


def _clumps(given: Histories, months: tuple[int, ...], window: int) -> Array:
    """A measure that a handful have, many times each, varies as the handful does (compound Poisson)."""
    block = (month_of_day(given.events.occurred) - months[0]) // window
    inside, size = block >= 0, len(given.profile.measure_keys)
    person = given.events.officer.astype(np.int64) * size + given.events.measure
    runs = (person * (len(months) // window + 1) + block)[inside]  # events lie in this order
    where = np.flatnonzero(np.diff(runs, prepend=-1))
    number = np.diff(where, append=len(runs)).astype(np.float64)
    measure = given.events.measure[inside][where]
    whole = np.bincount(measure, weights=number, minlength=size)
    return np.asarray(np.bincount(measure, weights=number**2, minlength=size) / np.maximum(whole, 1.0))


def _months(given: Histories, as_of: int) -> tuple[int, ...]:
    first = int(month_of_day(given.events.occurred.min())) if len(given.events) else as_of
    return tuple(range(max(first, as_of - PAST_MONTHS - max(WINDOWS)), as_of + 1))


def _rows(given: Histories, months: tuple[int, ...], series: npt.NDArray[np.int64], size: int) -> Array:
    occurred, recorded = month_of_day(given.events.occurred), month_of_day(given.events.recorded)
    ages = max(WINDOWS)
    inside = (occurred >= months[0]) & (recorded <= months[-1]) & (recorded - occurred < ages) & (series >= 0)
    place = (series[inside] * len(months) + occurred[inside] - months[0]) * ages + (recorded - occurred)[inside]
    counts = np.bincount(place, minlength=size * len(months) * ages).reshape(size, len(months), ages)
    return counts.cumsum(axis=2).astype(np.float64)


def holes(arrivals: Arrivals, *, at_most: float = HALF) -> list[Hole]:
    """Return the series of which in some window at most the share ``at_most`` of the usual arrived, at the same age.

    The usual is the median of the past as-ofs, per person on the roster. A hole is below what a negative binomial
    with the past's own spread (never less than Poisson's of as many persons) gives with chance ALPHA, and no past
    as-of before the present silence was as low, nor was the same month a year before. With nobody on the
    roster any more there is no hole.
    """
    found: dict[str, Hole] = {}
    for window in WINDOWS:
        if len(arrivals.months) < 2 * window + FEWEST_PAST:
            continue
        for hole in _holes_in(arrivals, window, at_most):
            found.setdefault(hole.subject, hole)
    return list(found.values())


def _holes_in(arrivals: Arrivals, window: int, at_most: float) -> list[Hole]:
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(arrivals.people > 0, arrivals.seen(window) / arrivals.people, np.nan)
    enough = arrivals.people[:, -1] >= FEWEST_PEOPLE
    known = enough & ((~np.isnan(rate[:, :-window])).sum(axis=1) >= FEWEST_PAST)
    able = np.flatnonzero(known & ~np.isnan(rate[:, -1]))
    rate, people = rate[able], arrivals.people[able, -1]
    if not len(able):
        return []
    middle = np.nanmedian(rate[:, :-window], axis=1)
    run = np.cumprod((rate <= at_most * middle[:, None])[:, ::-1], axis=1).sum(axis=1)
    before = np.arange(rate.shape[1])[None, :] < (rate.shape[1] - np.maximum(run, 1) - window + 1)[:, None]
    usual = _seasonal(rate, middle, run)
    spread = _spread(np.where(before, rate, np.nan))
    clumped = np.sqrt(usual * people * arrivals.clumps[able, WINDOWS.index(window)])
    p = _too_few(rate[:, -1] * people, usual * people, np.maximum(spread * people, clumped))
    low = rate <= at_most * usual[:, None]
    as_low = (before & (rate <= rate[:, [-1]])).any(axis=1)
    hit = (usual > 0) & low[:, -1] & (p < ALPHA) & ~as_low
    return [
        Hole(
            subject=arrivals.subjects[able[row]],
            since=arrivals.months[-1] - _silent(arrivals, int(able[row]), at_most),
            window=window,
            rows=float(rate[row, -1] * people[row]),
            usual=float(usual[row] * people[row]),
            p=float(p[row]),
        )
        for row in np.flatnonzero(hit)
    ]


def _spread(past: Array) -> Array:
    """Standard deviation of each row; 0 where fewer than two months are known."""
    number = (~np.isnan(past)).sum(axis=1)
    middle = np.nansum(past, axis=1) / np.maximum(number, 1)
    squares = np.nansum((past - middle[:, None]) ** 2, axis=1)
    return np.asarray(np.sqrt(squares / np.maximum(number - 1, 1)), dtype=np.float64)


def _seasonal(rate: Array, middle: Array, run: npt.NDArray[np.int64]) -> Array:
    """The median, or the rate a year before where that is less and not part of the present silence."""
    if rate.shape[1] <= YEAR:
        return middle
    year_ago = rate[:, -1 - YEAR]
    return np.where((run <= YEAR) & (year_ago < middle), year_ago, middle)


def _too_few(rows: Array, mean: Array, spread: Array) -> Array:
    """Chance of so few rows or fewer: Poisson, or negative binomial where the past spreads more."""
    mean = np.maximum(mean, 1e-9)
    extra = np.maximum(spread**2 - mean, 1e-6 * mean)
    size = mean**2 / extra
    return np.asarray(stats.nbinom.cdf(np.round(rows), size, size / (size + mean)), dtype=np.float64)


def _silent(arrivals: Arrivals, row: int, at_most: float) -> int:
    """For how many months before the last one there was as little, month by month at full age."""
    rows = arrivals.rows[row, :, -1] / np.maximum(arrivals.people[row], 1)
    usual = np.median(rows[rows > 0]) if (rows > 0).any() else 0.0
    low = (rows <= at_most * usual)[::-1]
    return int(max(1, np.cumprod(low).sum())) - 1


def artefacts(given: Histories) -> list[Artefact]:
    """Return summed measures of which nearly everyone has an event though many must have none.

    How many must have none: Chao's lower bound, ones squared over twice the twos (Chao 1987), and of it the lower end
    of its 95 % interval. It needs no model of how persons differ, and is near nought for what comes to everyone
    regularly. Who was hired after the last recorded day can have no event yet, and does not count.
    """
    persons = np.unique(given.postings.officer[given.postings.first <= given.last_recorded])
    life = lifetimes(given.events)
    alive = life.born < life.died
    found = []
    for number, key in enumerate(given.profile.measure_keys):
        mine = alive & (given.events.measure == number)
        if given.profile.measures[key].aggregate != "sum" or not mine.any():
            continue
        counts = np.bincount(given.events.officer[mine], minlength=len(given.officers))[persons]
        ones, twos, none = int((counts == 1).sum()), int((counts == 2).sum()), int((counts == 0).sum())
        expected = _must_have_none(ones, max(twos, 1))
        if expected >= max(MISSING_ZEROS, 0.02 * len(persons)) and none < 0.1 * expected:
            found.append(Artefact(key, len(persons), none, expected))
    return found


def _must_have_none(ones: int, twos: int) -> float:
    """The lower end of the 95 % interval of Chao's bound, log-normal as Chao (1987) has it."""
    bound, ratio = ones**2 / (2 * twos), ones / twos
    if not bound:
        return 0.0
    variance = twos * (ratio**4 / 4 + ratio**3 + ratio**2 / 2)
    return float(bound / np.exp(1.96 * np.sqrt(np.log1p(variance / bound**2))))


def roster_shrunk(arrivals: Arrivals) -> tuple[float, float] | None:
    """Return how many were on the roster usually and are now, where that fell below ROSTER_SHRUNK; else None."""
    people = arrivals.people[0]
    usual = float(np.median(people[-13:-1])) if len(people) > FEWEST_PAST else 0.0
    return (usual, float(people[-1])) if usual and people[-1] < ROSTER_SHRUNK * usual else None
