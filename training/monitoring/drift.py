"""Drift of a month against reference months, judged by how far stable months lie from each other.

Every series (a measure, a score) becomes three scores of a person and month, whose monthly means are compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

Array = npt.NDArray[np.float64]

SCORES = ("mean", "rank", "spread")
"""Standardised value; mid-rank among the reference (AUC less a half); distance of that rank from the middle."""
MATERIAL = (0.1, 0.03, 0.05)
"""Less than this of a score is no drift, however sure: in large forces everything differs by a trifle."""
FEWEST_MONTHS = 3
FEWEST_OFFICERS = 10
ARRIVED = 0.25
"""A month with fewer values than this share of the usual is none in which the measure was recorded."""
WINSOR = 5.0
"""Standardised values beyond are cut, so that one person's extreme doesn't carry a force's mean."""


@dataclass(frozen=True)
class Series:
    """One series: ``values`` is [month, officer], NaN where unknown; ``months`` names its rows, ascending."""

    subject: str
    months: tuple[int, ...]
    values: npt.NDArray[np.floating]


@dataclass(frozen=True)
class Drift:
    """How far the latest month of a series lies from its reference months.

    ``shift`` is in standard deviations of a person's month, ``auc`` the chance that a value of the latest month
    exceeds one of the reference; ``before`` and ``now`` are means in the measure's unit. ``statistic`` is the
    t of the score in ``score`` that says most; ``p`` is corrected for the three scores, ``q`` for all series.
    """

    subject: str
    month: int
    reference: tuple[int, ...]
    officers: int
    before: float
    now: float
    shift: float
    auc: float
    score: str
    statistic: float
    p: float
    q: float


@dataclass(frozen=True)
class _Compared:
    """Monthly means of the three scores: the latest against the reference, and what is known of their spread."""

    drift: Drift
    away: Array
    draws: Array
    spread: Array
    within: Array
    error: Array


def drifts(series: Sequence[Series], reference: Sequence[int]) -> list[Drift]:
    """Return the drift of every series that has values in enough ``reference`` months and in a later one.

    The latest month is the last in which the series was recorded; persons are counted whole. The null is by
    permutation over months: each reference month plays the latest in turn. Where no reference month lies as far,
    p is the tail of t with the spread of these draws (tail approximation: Knijnenburg 2009, Winkler 2016), shrunk over
    series (Smyth 2004), plus the error of persons flipped whole (a permutation too, in closed form: the sum of
    squared contributions), which holds a person's months together. q is Benjamini and Hochberg's over series.
    """
    found = [one for each in series if (one := _compared(each, reference))]
    if not found:
        return []
    spread, freedom = shrunk(
        np.array([one.spread for one in found]), np.array([one.draws.shape[1] - 1 for one in found])
    )
    judged = [_judged(one, spread[row], freedom[row]) for row, one in enumerate(found)]
    q = stats.false_discovery_control([one.p for one in judged], method="bh")
    return [replace(one, q=float(value)) for one, value in zip(judged, q, strict=True)]


def _compared(series: Series, reference: Sequence[int]) -> _Compared | None:
    known = ~np.isnan(series.values)
    number = known.sum(axis=1)
    arrived = (number >= max(FEWEST_OFFICERS, ARRIVED * np.max(number, initial=0))) if len(number) else number > 0
    rows = np.flatnonzero(arrived)
    chosen = np.array([row for row in rows if series.months[row] in set(reference)], dtype=int)
    later = [row for row in rows if series.months[row] > max(reference, default=0)]
    if len(chosen) < FEWEST_MONTHS or not later:
        return None
    now = later[-1]
    values = series.values[[*chosen, now]].astype(np.float64)
    scores = _scores(values)
    if scores is None:
        return None
    means, within, error = _spreads(scores, ~np.isnan(values))
    base, last = means[:, :-1], means[:, -1]
    draws = (base - base.mean(axis=1, keepdims=True)) * base.shape[1] / (base.shape[1] - 1)
    away = last - base.mean(axis=1)
    old = np.nanmean(values[:-1], axis=1).mean()
    drift = Drift(
        subject=series.subject,
        month=series.months[now],
        reference=tuple(series.months[row] for row in chosen),
        officers=int(number[now]),
        before=float(old),
        now=float(np.nanmean(values[-1])),
        shift=float(away[0]),
        auc=float(0.5 + away[1]),
        score="",
        statistic=0.0,
        p=1.0,
        q=1.0,
    )
    return _Compared(drift, away, draws, base.var(axis=1, ddof=1), within, error)


def _scores(values: Array) -> Array | None:
    """[score, month, officer]; None for a series that is the same everywhere."""
    pool = values[:-1][~np.isnan(values[:-1])]
    size = float(pool.std())
    if size == 0:
        size = float(np.nanmax(np.abs(values - pool[0])))
        if size == 0:
            return None
    ordered = np.sort(pool)
    flat = values.ravel()
    rank = (np.searchsorted(ordered, flat, "left") + np.searchsorted(ordered, flat, "right")) / (2 * len(ordered))
    rank = np.where(np.isnan(flat), np.nan, rank).reshape(values.shape)
    standard = np.clip((values - pool.mean()) / size, -WINSOR, WINSOR)
    return np.stack([standard, rank, np.abs(rank - 0.5)])


def _spreads(scores: Array, known: npt.NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Monthly means [score, month]; what persons alone add to the spread of reference months, and to the difference."""
    number = known.sum(axis=1)
    filled = np.where(known, scores, 0.0)
    means = filled.sum(axis=2) / number
    part = np.where(known, scores - means[:, :, None], 0.0) / number[:, None]
    base, last = part[:, :-1], part[:, -1]
    months = base.shape[1]
    total = base.sum(axis=1)
    within = ((base**2).sum(axis=(1, 2)) - (total**2).sum(axis=1) / months) / (months - 1)
    left_out = (base * months - total[:, None]) / (months - 1)
    usual = (left_out**2).sum(axis=2).mean(axis=1)
    error = np.maximum(((last - total / months) ** 2).sum(axis=1), usual)
    return means, within, error


def shrunk(spread: Array, freedom: npt.NDArray[np.integer]) -> tuple[Array, Array]:
    """Return variances [series, score], small ones drawn up towards a common one, and their degrees of freedom.

    Empirical Bayes after Smyth (2004); a large one is left as it is, so that the test errs on the safe side.
    """
    moderate, total = spread.copy(), np.repeat(freedom[:, None].astype(np.float64), spread.shape[1], axis=1)
    for column in range(spread.shape[1]):
        seen = spread[:, column] > 0
        if seen.sum() < FEWEST_MONTHS:
            continue
        half = freedom[seen] / 2
        logs = np.log(spread[seen, column]) - digamma(half) + np.log(half)
        excess = logs.var(ddof=1) - polygamma(1, half).mean()
        prior = _inverse_trigamma(excess) * 2 if excess > 1e-3 else 100.0
        common = np.exp(logs.mean() + digamma(prior / 2) - np.log(prior / 2))
        drawn = (prior * common + freedom * spread[:, column]) / (prior + freedom)
        moderate[:, column] = np.maximum(drawn, spread[:, column])  # what was seen to wobble more keeps its wobble
        total[:, column] = prior + freedom
    return moderate, total


def _inverse_trigamma(value: float) -> float:
    return float(brentq(lambda x: float(polygamma(1, x)) - value, 1e-3, 1e4))


def _judged(one: _Compared, spread: Array, freedom: Array) -> Drift:
    months = one.draws.shape[1]
    wobble = np.maximum(0.0, spread - one.within) * (1 + 1 / months)
    variance = one.error + wobble
    statistic = one.away / np.sqrt(variance)
    degrees = freedom * (variance / np.maximum(wobble, 1e-12)) ** 2  # Satterthwaite; the persons' part is known
    p = 2 * stats.t.sf(np.abs(statistic), np.minimum(degrees, 1e6))
    as_far = (np.abs(one.draws) >= np.abs(one.away)[:, None]).sum(axis=1)
    p = np.where(as_far > 0, np.maximum(p, (as_far + 1) / (months + 1)), p)
    p = np.where(np.abs(one.away) < MATERIAL, 1.0, p)
    most = int(np.argmin(p))
    return replace(
        one.drift,
        score=SCORES[most],
        statistic=float(statistic[most]),
        p=float(min(1.0, len(SCORES) * p[most])),
    )
