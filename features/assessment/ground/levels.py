"""Levels of the officers of a post over a window: each indicator, the three dimensions, the index; and the months.

Everything a report, a star or a watch says of a person's standing among peers is made here, once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from features.assessment.ground.assessable import Assessable, Mask
from features.assessment.ground.indicators import (
    SEEN_MONTHS,
    Credibility,
    Estimate,
    PostSeries,
    combined,
    counted_keys,
    credibility,
    estimate,
    post_series,
)
from features.assessment.ground.windows import Windows, windows
from features.efficiency import exposures, post_scores
from features.histories.tables import Floats
from features.profile_rows import ASSESSED
from features.statistics import FEWEST, vs_peers

INDEX = "index"
SCORES = (INDEX, *ASSESSED)
BASELINE_MONTHS, RECENT_MONTHS = 12, 3


@dataclass(frozen=True)
class PostLevels:
    """One post at the as-of: what was seen, over which windows, and the levels.

    ``indicators`` holds the counted indicators now, ``before`` those of the window before, ``beside`` both of the
    profile's hidden work that is not counted; ``scores`` index and dimensions now. One entry per officer of ``seen``.
    """

    post: int
    seen: PostSeries
    learned: Mapping[str, Credibility]
    window: Windows
    indicators: Mapping[str, Estimate]
    before: Mapping[str, Estimate]
    beside: Mapping[str, tuple[Estimate, Estimate]]
    scores: Mapping[str, Estimate]


def all_levels(view: Assessable) -> tuple[PostLevels, ...]:
    """Return the levels of every post that has officers at the as-of."""
    return tuple(post_levels(view, post) for post in range(len(view.posts)) if len(view.members(post)))


def post_levels(view: Assessable, post: int) -> PostLevels:
    """Return the levels of a post's officers over their elastic windows."""
    counted = counted_keys(view, post)
    seen = post_series(view, post, (*counted, *other_keys(view, post)))
    learned = {key: credibility(series) for key, series in seen.indicators.items()}
    window = windows(view, post, seen)

    def over_window(key: str, inside: Mask) -> Estimate:
        return estimate(seen.indicators[key], inside, learned[key])

    now = {key: over_window(key, window.inside) for key in counted}
    before = {key: over_window(key, window.before) for key in counted}
    rewarded = {*counted, *view.posts[post].bonus}
    hidden = [key for key in view.rules.hidden if key in seen.indicators and key not in rewarded]
    hidden = [key for key in hidden if (seen.indicators[key].weight > 0).any()]
    beside = {key: (over_window(key, window.inside), over_window(key, window.before)) for key in hidden}
    found = scores(view, post, seen=seen, parts=now, window=window.inside, learned=learned)
    return PostLevels(post, seen, learned, window, now, before, beside, found)


def other_keys(view: Assessable, post: int) -> tuple[str, ...]:
    """Return the measures with a direction that the post does not count, ratings of it apart or not."""
    rules, rates = view.posts[post], view.profile.settings.rates
    counted = set(counted_keys(view, post)) | set(rules.bonus)
    counted |= {part for key in counted & set(rates) for part in (rates[key].of, rates[key].per)}
    own = view.rules
    named = {*own.technical, *own.leading, *own.hidden}
    return tuple(
        key
        for key, measure in view.profile.measures.items()
        if key in named or (key not in counted and measure.better and measure.dimension in ASSESSED)
    )


def scores(
    view: Assessable,
    post: int,
    *,
    seen: PostSeries,
    parts: Mapping[str, Estimate],
    window: Mask,
    learned: Mapping[str, Credibility],
) -> dict[str, Estimate]:
    """Return the dimensions (weighted means of their indicators; quality with its bonus) and their mean, the index."""
    found: dict[str, Estimate] = {}
    for dimension in ASSESSED:
        weights = view.posts[post].indicators.get(dimension, {})
        found[dimension] = combined([(weight, parts[key]) for key, weight in weights.items()], size=seen.size)
    if quality := view.posts[post].indicators.get("quality"):
        lift = np.minimum(np.where(window, seen.lift, 0.0).sum(axis=0), 1.0)
        shares = [weight / sum(quality.values()) for weight in quality.values()]
        unsure = sum(share**2 * learned[key].between for key, share in zip(quality, shares, strict=True))
        found["quality"] = found["quality"].lifted(lift, unsure=unsure)
    return {INDEX: combined([(1.0, each) for each in found.values()], size=seen.size), **found}


def over(seen: PostSeries, key: str, *, learned: Mapping[str, Credibility], months: int) -> Estimate:
    """Return an indicator's levels over the last so many months."""
    window = np.zeros((SEEN_MONTHS, seen.size), dtype=bool)
    window[-months:] = True
    return estimate(seen.indicators[key], window, learned[key])


def informed(parts: Mapping[str, Estimate], *, learned: Mapping[str, Credibility], size: int) -> Estimate:
    """Return the mean of several measures, each by how much officers really differ in it: noise has no say."""
    return combined([(learned[key].between, part) for key, part in parts.items()], size=size)


def bounds(each: Estimate, sure: float) -> tuple[Floats, Floats]:
    """Return the interval in which a level lies with probability ``sure``, as far as the own months tell."""
    width = NormalDist().inv_cdf(0.5 + sure / 2) * np.sqrt(each.variance)
    return each.level - width, each.level + width


@dataclass(frozen=True)
class Months:
    """Month by month, as the efficiency index has it: [month, officer] for index and dimensions, oldest first.

    Each in standard deviations of the post in that month, by the weights valid in it; NaN where not assessed.
    """

    months: range
    scores: Mapping[str, Floats]

    @property
    def recent(self) -> Floats:
        """The index of the last RECENT_MONTHS months."""
        return self.scores[INDEX][-RECENT_MONTHS:]

    @property
    def baseline(self) -> Floats:
        """The index of the BASELINE_MONTHS months before those."""
        return self.scores[INDEX][-RECENT_MONTHS - BASELINE_MONTHS : -RECENT_MONTHS]


def monthly_scores(view: Assessable) -> Months:
    """Return the months that trends, leaders and declines look at; the index equals features.efficiency's."""
    months = range(view.as_of - BASELINE_MONTHS - RECENT_MONTHS + 1, view.as_of + 1)
    size, dated = len(view.given.officers), view.dated_posts
    found = {name: np.full((len(months), size), np.nan) for name in SCORES}
    for row, month in enumerate(months):
        slot, where = month - view.months[0], view.standings[month]
        exposure = exposures(view.cells, slot=slot, days=view.cells.days[slot])
        for number, post in enumerate(dated):
            members = np.flatnonzero(where.post == number)
            rules = post.at(month)
            if len(members) < FEWEST or not rules.indicators:
                continue
            each = post_scores(view.cells, rules, slot=slot, members=members, exposure=exposure[members])
            same = np.zeros(len(members), dtype=np.int32)
            for name, level in ((INDEX, each.index), *each.dimension.items()):
                found[name][row, members] = vs_peers(level, same, 1)
    return Months(months, found)
