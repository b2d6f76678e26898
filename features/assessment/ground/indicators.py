"""Indicators of a post: month by month against peers, and their levels over a window by empirical Bayes.

Each month's figure comes from features.efficiency (exposure-adjusted, standardised within post and month). How far a
level may leave the post's middle is learned from the months themselves: an indicator that is all noise moves nobody.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from features.assessment.ground.assessable import Assessable, Mask, Positions
from features.efficiency import bonus, direction, exposures, long_work, observed, standardised
from features.histories.tables import Floats
from features.statistics import FEWEST

SEEN_MONTHS = 12
"""The months from which it is learned how much of an indicator is noise."""


@dataclass(frozen=True)
class Series:
    """One indicator of the present officers of a post: [month, member] over SEEN_MONTHS, oldest first.

    ``z`` in standard deviations of the post in that month, turned so that more is better; ``value`` in the
    indicator's own unit; ``weight`` what it rests on (0 where there is nothing). NaN where nothing was seen.
    """

    z: Floats
    value: Floats
    weight: Floats


@dataclass(frozen=True)
class PostSeries:
    """What was seen of the present officers of one post: the indicators, bonus lifts, exempt months, long work."""

    members: Positions
    indicators: Mapping[str, Series]
    lift: Floats
    exposure: Floats
    busy: Mask

    @property
    def size(self) -> int:
        """How many officers."""
        return len(self.members)


@dataclass(frozen=True)
class Credibility:
    """How much months of one officer differ by chance (per unit of weight), and officers among each other."""

    noise: float
    between: float
    middle: float


@dataclass(frozen=True)
class Estimate:
    """Levels of officers in standard deviations of the post, shrunk, NaN where nothing was seen.

    ``variance`` is what remains unsure; ``credibility`` (0 to 1) how far the level rests on own observations;
    ``evidence`` what was observed, ``value`` its mean in the indicator's own unit.
    """

    level: Floats
    variance: Floats
    credibility: Floats
    evidence: Floats
    value: Floats

    def lifted(self, lift: Floats, *, unsure: float) -> "Estimate":
        """Return the same with levels raised by bonus items; who has nothing but those is raised from the middle.

        ``unsure`` is the variance between officers, which is what remains of someone of whom nothing else is known.
        """
        alone = np.isnan(self.level) & (lift > 0)
        return replace(
            self,
            level=np.where(alone, lift, self.level + lift),
            variance=np.where(alone, unsure, self.variance),
        )


def post_series(view: Assessable, post: int, keys: Iterable[str]) -> PostSeries:
    """Return what was seen of the present officers of a post, by the rules valid at the as-of."""
    rules, members, wanted = view.posts[post], view.members(post), tuple(dict.fromkeys(keys))
    months = range(view.as_of - SEEN_MONTHS + 1, view.as_of + 1)
    place = np.full(len(view.given.officers), -1, dtype=np.int64)
    place[members] = np.arange(len(members))
    shape = (len(months), len(members))
    blank = {key: Series(np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape)) for key in wanted}
    found = PostSeries(members, blank, np.zeros(shape), np.full(shape, np.nan), np.zeros(shape, dtype=bool))
    for row, month in enumerate(months):
        slot = month - view.months[0]
        then = np.flatnonzero(view.standings[month].post == post)
        here = place[then] >= 0
        to, exposure = place[then[here]], exposures(view.cells, slot=slot, days=view.cells.days[slot])[then]
        busy = long_work(view.cells, rules, slot=slot, members=then)
        found.exposure[row, to], found.busy[row, to] = exposure[here], busy[here]
        found.lift[row, to] = bonus(view.cells, rules, slot=slot, members=then)[here]
        for key in wanted if len(then) >= FEWEST else ():
            seen = observed(view.cells, key, slot=slot, members=then, exposure=exposure, busy=busy)
            z = np.where(np.isnan(exposure), np.nan, standardised(seen) * direction(view.profile, key))
            series = found.indicators[key]
            series.z[row, to], series.value[row, to] = z[here], seen.value[here]
            series.weight[row, to] = np.where(np.isnan(z), 0.0, seen.weight)[here]
    return found


def credibility(series: Series) -> Credibility:
    """Return the parts of the variance by the moments of Bühlmann and Straub (1970), as known by the series.

    ``between`` is 0, and then nobody leaves the middle, where the officers differ no more than by chance.
    """
    known = series.weight > 0
    weight, z = np.where(known, series.weight, 0.0), np.where(known, series.z, 0.0)
    own = weight.sum(axis=0)
    there = own > 0
    if there.sum() < FEWEST:
        return Credibility(0.0, 0.0, 0.0)
    mean = (weight * z).sum(axis=0) / np.where(there, own, 1.0)
    middle = float((own * mean).sum() / own.sum())
    repeats = int((known.sum(axis=0) - there).sum())
    noise = float((weight * (z - mean) ** 2).sum() / repeats) if repeats else float(own[there].mean())
    spread = float((own[there] * (mean[there] - middle) ** 2).sum()) - (int(there.sum()) - 1) * noise
    scale = float(own.sum() - (own**2).sum() / own.sum())
    return Credibility(noise, max(0.0, spread / scale), middle)


def estimate(series: Series, window: Mask, learned: Credibility) -> Estimate:
    """Return the levels over each officer's window ([month, member]), shrunk towards the post's middle."""
    known = window & (series.weight > 0)
    weight = np.where(known, series.weight, 0.0)
    evidence = weight.sum(axis=0)
    there = evidence > 0
    safe = np.where(there, evidence, 1.0)
    mean = np.where(known, weight * np.where(known, series.z, 0.0), 0.0).sum(axis=0) / safe
    value = np.where(known, weight * np.where(known, series.value, 0.0), 0.0).sum(axis=0) / safe
    total = evidence * learned.between + learned.noise
    sure = np.where(total > 0, evidence * learned.between / np.where(total > 0, total, 1.0), 0.0)
    level = learned.middle + sure * (mean - learned.middle)
    return Estimate(
        level=np.where(there, level, np.nan),
        variance=np.where(there, learned.between * (1.0 - sure), np.nan),
        credibility=np.where(there, sure, 0.0),
        evidence=evidence,
        value=np.where(there, value, np.nan),
    )


def combined(parts: Iterable[tuple[float, Estimate]], *, size: int) -> Estimate:
    """Return the weighted mean of what was seen of several indicators; the weights of the seen ones sum to 1."""
    level, variance, sure, weight, evidence = (np.zeros(size) for _ in range(5))
    for share, part in parts:
        there = ~np.isnan(part.level)
        level = level + np.where(there, share * part.level, 0.0)
        variance = variance + np.where(there, share**2 * part.variance, 0.0)
        sure = sure + np.where(there, share * part.credibility, 0.0)
        weight = weight + np.where(there, share, 0.0)
        evidence = evidence + part.evidence
    safe = np.where(weight > 0, weight, np.nan)
    return Estimate(level / safe, variance / safe**2, np.nan_to_num(sure / safe), evidence, np.full(size, np.nan))


def percentile(level: Floats, among: Floats) -> Floats:
    """Return where levels lie among those of the peers, 0 to 100 (ties in the middle); NaN stays NaN."""
    peers = np.sort(among[~np.isnan(among)])
    if len(peers) < FEWEST:
        return np.full(len(level), np.nan)
    below, upto = np.searchsorted(peers, level, side="left"), np.searchsorted(peers, level, side="right")
    return np.where(np.isnan(level), np.nan, 50.0 * (below + upto) / len(peers))


def counted_keys(view: Assessable, post: int) -> tuple[str, ...]:
    """Return the indicators of a post, each once."""
    weights: Iterable[Mapping[str, float]] = view.posts[post].indicators.values()
    return tuple(dict.fromkeys(key for each in weights for key in each))
