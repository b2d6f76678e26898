"""The efficiency index: what efficiency_decline looks at, and the one place on which assessment builds.

Month by month and post by post: indicators with the profile's weights, adjusted for exposure, in standard
deviations from the post, shrunk where an officer has few observations. Exempt time and long work in hand are
left out and never counted as zero.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from features.asknown import KnownCube, Parted
from features.cohort import Standing, standing
from features.histories.tables import Floats, Histories, Ints
from features.months import first_day, last_day, month_of_day
from features.others import ALONE, FIRST, SECOND, Counts, Figures, Key, Others
from features.profile import Profile
from features.profile_rows import ASSESSED, Measure, Post, PostVersion, Rate
from features.statistics import ALIKE, FEWEST, against, group_moments, vs_peers

EXEMPT_FROM = 0.5
"""A month of which this share or more was exempt is not assessed at all."""
OBSERVATIONS = 2.0
"""So many observations count as much as the post's middle (the prior of the shrinkage)."""
EXTREME = 3.0
"""A single indicator counts for at most so many standard deviations."""
BONUS_UNIT = 0.1
"""A bonus of weight 1 lifts quality by so many standard deviations per unit, at most 1 in all."""


class Cells(Protocol):
    """What is known of each measure, period (slot) and officer; a KnownCube is one whose periods are months."""

    @property
    def profile(self) -> Profile:
        """What the measures mean."""

    @property
    def value(self) -> Floats:
        """The period's number: 0 in an empty cell of a summed measure, NaN otherwise."""

    @property
    def count(self) -> Ints:
        """How many rows occurred in the period."""

    @property
    def direct(self) -> Ints:
        """How many of them are no long work."""

    @property
    def spans(self) -> Ints:
        """How much long work covers the period."""


@dataclass(frozen=True)
class Observed:
    """An indicator in one period: its value (exposure-adjusted, NaN = left out) and how much it rests on.

    ``reliability`` is that between 0 and 1; ``weight`` in its own unit: the share of the period at work, the
    number of ratings, the rate's denominator.
    """

    value: Floats
    reliability: Floats
    weight: Floats


@dataclass(frozen=True)
class PostScores:
    """The officers of one post in one period, one entry each (NaN = not assessed).

    ``dimension`` holds the score of each dimension of the post; ``index`` is their mean, not standardised yet.
    """

    members: npt.NDArray[np.int64]
    dimension: Mapping[str, Floats]
    index: Floats


@dataclass(frozen=True)
class Asked:
    """Whom to ask for the figures of everyone, and of what: the officers at hand may be a part of a force."""

    others: Others
    key: Key = ()

    def within(self, part: str | int) -> "Asked":
        """Return the same, of a part of it: a post, an indicator."""
        return Asked(self.others, (*self.key, part))

    def of(self, what: str, stage: int = FIRST) -> Callable[[Figures], Figures]:
        """Return a function that gives everyone's figures for those of the officers at hand."""
        return partial(self.others.figures, stage, (what, *self.key))


NOBODY_ELSE = Asked(ALONE)


def monthly_index(given: Histories, cube: KnownCube, months: range) -> Floats:
    """Return the index as known by ``cube.now``: [month, officer], mean 0 and SD 1 within post and month.

    NaN where a month isn't assessed: no posting, exempt, only long work in hand, or fewer than five peers. Each
    month has the weights of the profile's version that was valid in it.
    """
    found = np.full((len(months), len(given.officers)), np.nan)
    posts = indicator_posts(given)
    for row, month in enumerate(months):
        if not 0 <= cube.slot(month) < cube.months:
            continue
        where = standing(given, month)
        asked = Asked(given.others, (min(cube.now, int(month_of_day(given.last_recorded))), month))
        scores = _month_scores(cube, posts, month=month, where=where, asked=asked)
        members = np.flatnonzero(where.post >= 0)
        found[row, members] = vs_peers(scores[members], where.post[members], len(posts), told=asked.of("index", SECOND))
    return found


def index_cube(given: Histories, *, first: int, last: int) -> KnownCube:
    """Return a cube, not advanced yet, of what the index of the months from ``first`` on reads, known by ``last``."""
    export = Parted(given, last).of_measures(read_by_index(given), len(given.officers), since=first)
    return KnownCube(given, last_month=last, export=export)


def read_by_index(given: Histories) -> npt.NDArray[np.bool_]:
    """Return which measures the index reads, by their number; beside them it reads whatever is long work."""
    profile, names = given.profile, set[str]()
    for post in indicator_posts(given):
        every: list[Post | PostVersion] = [post, *post.versions]
        for rules in every:
            names.update(rules.bonus or (), rules.in_hand or (), *(rules.indicators or {}).values())
    for rate in (profile.settings.rates[name] for name in names & profile.settings.rates.keys()):
        names |= {rate.of, rate.per}
    return np.array([measure.exempt or key in names for key, measure in profile.measures.items()], dtype=np.bool_)


def indicator_posts(given: Histories) -> tuple[Post, ...]:
    """Return each post's indicators; a profile without posts gives all the same: every directed measure, equally."""
    profile = given.profile
    if profile.posts:
        return tuple(profile.posts[key] for key in given.posts)
    same: dict[str, dict[str, float]] = {dimension: {} for dimension in ASSESSED}
    for key, measure in profile.measures.items():
        if measure.dimension in ASSESSED and measure.better and not measure.sensitive:
            same[measure.dimension][key] = 1.0
    post = Post.model_validate({"indicators": same})
    return tuple(post for _ in given.posts)


def _month_scores(cube: KnownCube, posts: tuple[Post, ...], *, month: int, where: Standing, asked: Asked) -> Floats:
    scores = np.full(cube.value.shape[2], np.nan)
    days = float(last_day(month) - first_day(month) + 1)
    exposure = exposures(cube, slot=cube.slot(month), days=days)
    for number, post in enumerate(posts):
        members = np.flatnonzero(where.post == number)
        if len(members) >= (FEWEST if asked.others.alone else 1) and post.indicators:
            rules, there, mine = post.at(month), exposure[members], asked.within(number)
            found = post_scores(cube, rules, slot=cube.slot(month), members=members, exposure=there, asked=mine)
            scores[members] = found.index
    return scores


def may_be_assessed(measure: Measure) -> bool:
    """Return whether the index and the assessment may read a measure: neither health data nor anything of wellbeing."""
    return not measure.sensitive and measure.dimension != "wellbeing"


def exposures(cells: Cells, *, slot: int, days: float) -> Floats:
    """Return everyone's share of a period of so many days that was not exempt; NaN where too little to assess.

    Exempt time under a measure that may not be assessed has no part in it: leave is recorded without its cause.
    """
    away = np.zeros(cells.value.shape[2])
    for number, measure in enumerate(cells.profile.measures.values()):
        if measure.exempt and may_be_assessed(measure):
            away = away + np.nan_to_num(cells.value[number, slot])
    share = np.clip(1.0 - away / days, 0.0, 1.0)
    return np.where(share > EXEMPT_FROM, share, np.nan)


def post_scores(
    cells: Cells,
    post: Post,
    *,
    slot: int,
    members: npt.NDArray[np.int64],
    exposure: Floats,
    asked: Asked = NOBODY_ELSE,
) -> PostScores:
    """Return the dimension scores of a post's officers, each a weighted mean of its indicators that were observed."""
    busy = long_work(cells, post, slot=slot, members=members)
    total, dimensions = np.zeros(len(members)), np.zeros(len(members))
    found: dict[str, Floats] = {}
    for dimension, weights in post.indicators.items():
        score, weight = np.zeros(len(members)), np.zeros(len(members))
        for key, share in weights.items():
            mine = asked.within(key)
            seen = observed(cells, key, slot=slot, members=members, exposure=exposure, busy=busy, asked=mine)
            z = standardised(seen, asked=mine) * seen.reliability * direction(cells.profile, key)
            there = ~np.isnan(z)
            score = score + np.where(there, share * z, 0.0)
            weight = weight + np.where(there, share, 0.0)
        known = weight > 0
        lift: Any = bonus(cells, post, slot=slot, members=members) if dimension == "quality" else 0.0
        mean = score / np.where(known, weight, 1.0) + lift
        total = total + np.where(known, mean, 0.0)
        dimensions = dimensions + known
        found[dimension] = np.where(known & ~np.isnan(exposure), mean, np.nan)
    index = np.where(np.isnan(exposure), np.nan, total / np.where(dimensions > 0, dimensions, np.nan))
    return PostScores(members, found, index)


def long_work(cells: Cells, post: Post, *, slot: int, members: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return who, in a case-reviewed post, has long work in hand: closed since, or recorded as in hand.

    A treatment over months is no long work: nothing that may not be assessed counts.
    """
    if post.review != "case":
        return np.zeros(len(members), dtype=bool)
    assessed = np.flatnonzero([may_be_assessed(measure) for measure in cells.profile.measures.values()])
    busy = np.asarray((cells.spans[assessed, slot][:, members] > 0).any(axis=0))
    for key in post.in_hand:
        busy |= cells.count[cells.profile.measure_number[key], slot, members] > 0
    return busy


def observed(
    cells: Cells,
    key: str,
    *,
    slot: int,
    members: npt.NDArray[np.int64],
    exposure: Floats,
    busy: npt.NDArray[np.bool_],
    asked: Asked = NOBODY_ELSE,
) -> Observed:
    """Return an indicator (a measure or a rate) of a post's officers in one period, adjusted for exposure."""
    if key in cells.profile.settings.rates:
        return _rate(cells, cells.profile.settings.rates[key], slot=slot, members=members, asked=asked)
    number = cells.profile.measure_number[key]
    value = cells.value[number, slot, members]
    if cells.profile.measures[key].aggregate == "sum":
        only_shares = busy & (cells.direct[number, slot, members] == 0)
        return Observed(np.where(only_shares, np.nan, value / exposure), exposure, exposure)
    count = cells.count[number, slot, members]
    return Observed(value, count / (count + OBSERVATIONS), count.astype(np.float64))


def _rate(cells: Cells, rate: Rate, *, slot: int, members: npt.NDArray[np.int64], asked: Asked) -> Observed:
    number = cells.profile.measure_number
    per = np.nan_to_num(cells.value[number[rate.per], slot, members])
    of = np.nan_to_num(cells.value[number[rate.of], slot, members])
    there = per > 0
    middle = float(asked.of("usual")(Counts.of(per[there])).medians(1)[0])
    usual = 1.0 if np.isnan(middle) else middle
    value = np.where(there, rate.times * of / np.where(there, per, 1.0), np.nan)
    return Observed(value, per / (per + usual / OBSERVATIONS), np.where(there, per, 0.0))


def standardised(seen: Observed, *, asked: Asked = NOBODY_ELSE) -> Floats:
    """Return standard deviations from the middle of those seen, at most EXTREME; NaN where nobody differs."""
    same = np.zeros(len(seen.value), dtype=np.int32)
    whole = asked.of("seen")(group_moments(seen.value, same, 1))
    lowest, highest = whole.table[3, 0], whole.table[4, 0]
    if highest - lowest <= ALIKE * max(abs(highest), abs(lowest)):
        return np.full(len(seen.value), np.nan)  # nobody differs: it says nothing
    return np.clip(against(seen.value, same, whole), -EXTREME, EXTREME)


def direction(profile: Profile, key: str) -> float:
    """Return 1, or -1 where less of a measure or rate is better."""
    part: Measure | Rate = profile.measures.get(key) or profile.settings.rates[key]
    return -1.0 if part.better == "down" else 1.0


def bonus(cells: Cells, post: Post, *, slot: int, members: npt.NDArray[np.int64]) -> Floats:
    """Return by how many standard deviations the bonus items of a period lift quality, at most 1."""
    lift = np.zeros(len(members))
    for key, weight in post.bonus.items():
        lift = lift + BONUS_UNIT * weight * np.nan_to_num(cells.value[cells.profile.measure_number[key], slot, members])
    return np.minimum(lift, 1.0)
