"""Before and after a dated action against those it has not reached yet: staggered difference-in-differences.

Callaway and Sant'Anna (2021) with not-yet-treated controls; the own mean of the year before stands for "before".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from features.cohort import standing
from features.efficiency import index_cube, monthly_index
from features.errors import Refusal
from features.histories.tables import Histories
from features.labels import the_risk
from features.months import month_of_day, month_text
from features.profile_rows import EventOutcome
from training.dataset import last_month
from training.effects.estimate import Z90, Figure, WhyNot, told_count
from training.effects.study import Array, Mask, measure_of
from training.spells import Longs, standing_events

BEFORE, AFTER = 12, 12
"""Months before the start that make the baseline, and after it that are followed."""
FEWEST_BEFORE = 6
FEWEST_IN_COHORT, FEWEST_HELPED, FEWEST_OTHERS = 5, 40, 40
MOST_MONTHS = 72
DRAWS = 200
LATER = 10**6
"""Month of the start for whom the action has not reached."""


@dataclass(frozen=True)
class Courses:
    """A risk's outcome month by month, [officer, month], and who was at work in every one of ``months``."""

    risk: str
    known: Histories
    months: tuple[int, ...]
    values: Array
    there: Mask


@dataclass(frozen=True)
class Point:
    """The effect so many months after the start (negative: before it), per officer and month."""

    month: int
    effect: Figure
    helped: int


@dataclass(frozen=True)
class EventStudy:
    """What became of those reached, against those not yet reached; per officer and month.

    ``overall`` is the mean of the ``AFTER`` months, ``naive`` the plain change of those reached, ``before`` their
    level; ``drift`` is the change within the year before the start, against the others, with its p-value ``drift_p``.
    """

    action: str
    risk: str
    outcome: str
    since: int | None
    months: tuple[int, int]
    officers: int
    helped: int
    cohorts: int
    left_out: int
    before: float
    overall: Figure | None
    naive: Figure | None
    drift: Figure | None
    drift_p: float
    points: tuple[Point, ...]
    why_not: tuple[WhyNot, ...]


def courses(histories: Histories, risk: str, *, until: int | None = None) -> Courses:
    """Return the outcome of a risk in the last MOST_MONTHS months known by ``until``: its measure, or the index."""
    known = histories.until(last_month(histories, until))
    last = int(month_of_day(known.last_recorded + 1)) - 1
    first = max(int(month_of_day(known.events.occurred.min())), last - MOST_MONTHS + 1)
    if last - first < FEWEST_BEFORE + 1:
        raise Refusal(f"{month_text(first)} to {month_text(last)} is too short for a before and an after.")
    months = tuple(range(first, last + 1))
    there = np.all([standing(known, month).post >= 0 for month in months], axis=0)
    return Courses(risk, known, months, _outcome(known, risk, months).T, there)


def event_study(given: Courses, action: str, *, since: int | None = None) -> EventStudy:
    """Return the event study of an action's first start, of all starts or of those from month ``since`` on (a policy).

    90 % intervals by a Bayesian bootstrap over officers (Rubin 1981). Where everyone is reached at once, or too few
    are, it is not estimable and only the naive figure is told.
    """
    first, last = given.months[0], given.months[-1]
    begun = _first_months(given.known, measure_of(given.known.profile, action))
    early = begun < max(first + FEWEST_BEFORE, since if since is not None else first)
    start = begun[given.there & ~early] - first
    reached, why = start < len(given.months), _too_few(start, len(given.months))
    rule = the_risk(given.known, given.risk).outcome
    study = EventStudy(
        action, given.risk, rule.measure if isinstance(rule, EventOutcome) else rule.index, since, (first, last),
        len(start), told_count(int(reached.sum())), len(np.unique(start[reached])),
        told_count(int((given.there & early).sum())), 0.0,
        None, None, None, 1.0, (), why,
    )  # fmt: skip
    return study if not reached.any() else _estimated(study, _Sums.of(given.values[given.there & ~early], start))


def _first_months(known: Histories, measure: str) -> Longs:
    officer, day, _ = standing_events(known, (measure,))
    found = np.full(len(known.officers), LATER, dtype=np.int64)
    np.minimum.at(found, officer, month_of_day(day).astype(np.int64))
    return found


def _outcome(known: Histories, risk: str, months: Sequence[int]) -> Array:
    """[month, officer]: the sum of the outcome's measure, or the index (its gaps at the post's middle, 0)."""
    rule = the_risk(known, risk).outcome
    if isinstance(rule, EventOutcome):
        officer, day, value = standing_events(known, (rule.measure,))
        place = month_of_day(day) - months[0]
        inside = (place >= 0) & (place < len(months))
        found = np.zeros((len(months), len(known.officers)))
        np.add.at(found, (place[inside], officer[inside]), value[inside])
        return found
    return np.nan_to_num(index_of(known, range(months[0], months[-1] + 1)))


def index_of(known: Histories, months: range) -> Array:
    """Return the efficiency index of some months as known by the end of the last: [month, officer]."""
    cube = index_cube(known, first=months[0], last=months[-1])
    for month in range(cube.base, months[-1] + 1):
        cube.advance(month)
    return monthly_index(known, cube, months)


def _too_few(start: Longs, end: int) -> tuple[WhyNot, ...]:
    reached, reasons = start < end, []
    if reached.sum() < FEWEST_HELPED:
        reasons.append(WhyNot("few_reached", told_count(int(reached.sum())), FEWEST_HELPED))
    first = int(start.min()) if len(start) else 0
    others = int((start > first + 1).sum())
    if others < FEWEST_OTHERS:
        reasons.append(WhyNot("all_at_once", told_count(others), FEWEST_OTHERS))
    return tuple(reasons)


@dataclass(frozen=True)
class _Sums:
    """Weighted sums [draw, cohort, month] and weights [draw, cohort]; a cohort is a month of the start.

    The last cohort are those not reached. Draw 0 weighs everyone alike; the others are a Bayesian bootstrap's.
    """

    sums: Array
    weight: Array
    size: Longs
    later: Array
    """[draw, cohort, month]: the mean of this cohort and all later ones."""

    @classmethod
    def of(cls, values: Array, start: Longs) -> "_Sums":
        length = values.shape[1]
        cohort = np.minimum(start, length)
        draws = np.random.default_rng(6).exponential(size=(DRAWS, len(values)))
        draws = np.vstack([np.ones(len(values)), draws])
        sums, weight = np.zeros((DRAWS + 1, length + 1, length)), np.zeros((DRAWS + 1, length + 1))
        for number in np.unique(cohort):
            mine = cohort == number
            sums[:, number], weight[:, number] = draws[:, mine] @ values[mine], draws[:, mine].sum(axis=1)
        tail, total = (np.flip(np.cumsum(np.flip(part, axis=1), axis=1), axis=1) for part in (sums, weight))
        later = tail / np.maximum(total, 1e-12)[:, :, None]
        return cls(sums, weight, np.bincount(cohort, minlength=length + 1), later)

    @property
    def cohorts(self) -> list[int]:
        """The cohorts that were reached and have a baseline."""
        length = self.sums.shape[2]
        return [g for g in range(FEWEST_BEFORE, length) if self.size[g] >= FEWEST_IN_COHORT]

    def path(self, cohort: int) -> Array:
        """[draw, month]: the mean of a cohort."""
        return np.asarray(self.sums[:, cohort] / self.weight[:, cohort, None])

    def gap(self, cohort: int, ahead: int) -> Array | None:
        """[draw]: change of a cohort from its baseline, less that of those not reached by then; None without others."""
        month, length = cohort + ahead, self.sums.shape[2]
        first = max(month, cohort) + 1
        if not 0 <= month < length or self.size[first:].sum() < FEWEST_OTHERS:
            return None
        return _change(self.path(cohort), cohort, month) - _change(self.later[:, first], cohort, month)


def _change(path: Array, cohort: int, month: int) -> Array:
    return np.asarray(path[:, month] - path[:, max(0, cohort - BEFORE) : cohort].mean(axis=1))


def _estimated(study: EventStudy, sums: _Sums) -> EventStudy:
    naive, before = _plain(sums)
    found = replace(study, naive=naive, before=before)
    if study.why_not:
        return found
    gaps = {ahead: _gaps(sums, ahead) for ahead in range(-BEFORE, AFTER)}
    after = [part for ahead in range(AFTER) for part in gaps[ahead]]
    if not after:
        return replace(found, why_not=(WhyNot("all_at_once", 0, FEWEST_OTHERS),))
    early, late = (_pooled([part for ahead in span for part in gaps[ahead]]) for span in
                   (range(-BEFORE, -BEFORE // 2), range(-BEFORE // 2, 0)))  # fmt: skip
    drift = _figure(late - early)
    z = drift.value / max((drift.high - drift.low) / (2 * Z90), 1e-12)
    points = [
        Point(ahead, _figure(_pooled(part)), sum(size for size, _ in part)) for ahead, part in gaps.items() if part
    ]
    return replace(
        found, overall=_figure(_pooled(after)), drift=drift, drift_p=float(2 * norm.sf(abs(z))), points=tuple(points)
    )


def _gaps(sums: _Sums, ahead: int) -> list[tuple[int, Array]]:
    told = [(int(sums.size[cohort]), sums.gap(cohort, ahead)) for cohort in sums.cohorts]
    return [(size, gap) for size, gap in told if gap is not None]


def _pooled(parts: list[tuple[int, Array]]) -> Array:
    """The mean over cohorts and months, by the number of officers."""
    size = np.asarray([number for number, _ in parts], dtype=np.float64)
    return np.asarray(size @ np.asarray([gap for _, gap in parts]) / size.sum())


def _plain(sums: _Sums) -> tuple[Figure | None, float]:
    """Change of those reached from the year before to the year after, with nobody beside them; their level before."""
    changes, levels = [], []
    for cohort in sums.cohorts:
        path = sums.path(cohort)
        before = path[:, max(0, cohort - BEFORE) : cohort].mean(axis=1)
        changes.append((int(sums.size[cohort]), path[:, cohort : cohort + AFTER].mean(axis=1) - before))
        levels.append((int(sums.size[cohort]), before))
    if not changes:
        return None, 0.0
    return _figure(_pooled(changes)), float(_pooled(levels)[0])


def _figure(draws: Array) -> Figure:
    return Figure.of(float(draws[0]), float(draws[1:].std()))
