"""The efficiency index: what efficiency_decline looks at, and the one place on which assessment builds.

Month by month and post by post: indicators with the profile's weights, adjusted for exposure, in standard
deviations from the post, shrunk where an officer has few observations. Exempt time and long work in hand are
left out and never counted as zero.
"""

from dataclasses import dataclass

import numpy as np

from features.asknown import KnownCube
from features.cohort import Standing, standing
from features.histories.tables import Floats, Histories
from features.months import first_day, last_day
from features.profile import ASSESSED, Measure, Post, Profile, Rate
from features.statistics import FEWEST, vs_peers

EXEMPT_FROM = 0.5
"""A month of which this share or more was exempt is not assessed at all."""
OBSERVATIONS = 2.0
"""So many observations count as much as the post's middle (the prior of the shrinkage)."""
EXTREME = 3.0
"""A single indicator counts for at most so many standard deviations."""
BONUS_UNIT = 0.1
"""A bonus of weight 1 lifts quality by so many standard deviations per unit, at most 1 in all."""


@dataclass(frozen=True)
class Observed:
    """An indicator in one month: its value (exposure-adjusted, NaN = left out) and how much it rests on, 0 to 1."""

    value: Floats
    reliability: Floats


def monthly_index(given: Histories, cube: KnownCube, months: range) -> Floats:
    """Return the index as known by ``cube.now``: [month, officer], mean 0 and SD 1 within post and month.

    NaN where a month isn't assessed: no posting, exempt, only long work in hand, or fewer than five peers.
    """
    found = np.full((len(months), len(given.officers)), np.nan)
    posts = indicator_posts(given)
    for row, month in enumerate(months):
        if not 0 <= cube.slot(month) < cube.months:
            continue
        where = standing(given, month)
        scores = _month_scores(cube, posts, month=month, where=where)
        members = np.flatnonzero(where.post >= 0)
        found[row, members] = vs_peers(scores[members], where.post[members], len(posts))
    return found


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


def _month_scores(cube: KnownCube, posts: tuple[Post, ...], *, month: int, where: Standing) -> Floats:
    scores = np.full(cube.value.shape[2], np.nan)
    exposure = _exposure(cube, month)
    for number, post in enumerate(posts):
        members = np.flatnonzero(where.post == number)
        if len(members) >= FEWEST and post.indicators:
            scores[members] = _post_scores(cube, post, month=month, members=members, exposure=exposure[members])
    return scores


def _exposure(cube: KnownCube, month: int) -> Floats:
    """Return the share of the month that was not exempt; NaN where it is too little to assess."""
    days = float(last_day(month) - first_day(month) + 1)
    away = np.zeros(cube.value.shape[2])
    for number, key in enumerate(cube.profile.measure_keys):
        if cube.profile.measures[key].exempt:
            away = away + np.nan_to_num(cube.value[number, cube.slot(month)])
    share = np.clip(1.0 - away / days, 0.0, 1.0)
    return np.where(share > EXEMPT_FROM, share, np.nan)


def _post_scores(cube: KnownCube, post: Post, *, month: int, members: np.ndarray, exposure: Floats) -> Floats:
    """Return the mean of the dimension scores, each a weighted mean of its indicators that were observed."""
    busy = _long_work(cube, post, month=month, members=members)
    total, dimensions = np.zeros(len(members)), np.zeros(len(members))
    for dimension, weights in post.indicators.items():
        score, weight = np.zeros(len(members)), np.zeros(len(members))
        for key, share in weights.items():
            seen = _observed(cube, key, month=month, members=members, exposure=exposure, busy=busy)
            z = _standardised(seen) * _direction(cube.profile, key)
            there = ~np.isnan(z)
            score = score + np.where(there, share * z, 0.0)
            weight = weight + np.where(there, share, 0.0)
        known = weight > 0
        bonus = _bonus(cube, post, month=month, members=members) if dimension == "quality" else 0.0
        total = total + np.where(known, score / np.where(known, weight, 1.0) + bonus, 0.0)
        dimensions = dimensions + known
    score = total / np.where(dimensions > 0, dimensions, np.nan)
    return np.where(np.isnan(exposure), np.nan, score)


def _long_work(cube: KnownCube, post: Post, *, month: int, members: np.ndarray) -> np.ndarray:
    """Return who, in a case-reviewed post, has long work in hand: closed since, or recorded as in hand."""
    if post.review != "case":
        return np.zeros(len(members), dtype=bool)
    slot = cube.slot(month)
    busy = np.asarray((cube.spans[:, slot, members] > 0).any(axis=0))
    for key in post.in_hand:
        busy |= cube.count[cube.profile.measure_number[key], slot, members] > 0
    return busy


def _observed(
    cube: KnownCube, key: str, *, month: int, members: np.ndarray, exposure: Floats, busy: np.ndarray
) -> Observed:
    if key in cube.profile.settings.rates:
        return _rate(cube, cube.profile.settings.rates[key], month=month, members=members)
    number, slot = cube.profile.measure_number[key], cube.slot(month)
    value = cube.value[number, slot, members]
    if cube.profile.measures[key].aggregate == "sum":
        only_shares = busy & (cube.direct[number, slot, members] == 0)
        return Observed(np.where(only_shares, np.nan, value / exposure), exposure)
    count = cube.count[number, slot, members]
    return Observed(value, count / (count + OBSERVATIONS))


def _rate(cube: KnownCube, rate: Rate, *, month: int, members: np.ndarray) -> Observed:
    slot, number = cube.slot(month), cube.profile.measure_number
    per = np.nan_to_num(cube.value[number[rate.per], slot, members])
    of = np.nan_to_num(cube.value[number[rate.of], slot, members])
    there = per > 0
    usual = float(np.median(per[there])) if there.any() else 1.0
    value = np.where(there, rate.times * of / np.where(there, per, 1.0), np.nan)
    return Observed(value, per / (per + usual / OBSERVATIONS))


def _standardised(seen: Observed) -> Floats:
    same = np.zeros(len(seen.value), dtype=np.int32)
    if np.nanmax(seen.value, initial=-np.inf) <= np.nanmin(seen.value, initial=np.inf):
        return np.full(len(seen.value), np.nan)  # nobody differs: it says nothing
    return np.clip(vs_peers(seen.value, same, 1), -EXTREME, EXTREME) * seen.reliability


def _direction(profile: Profile, key: str) -> float:
    part: Measure | Rate = profile.measures.get(key) or profile.settings.rates[key]
    return -1.0 if part.better == "down" else 1.0


def _bonus(cube: KnownCube, post: Post, *, month: int, members: np.ndarray) -> Floats:
    lift = np.zeros(len(members))
    for key, weight in post.bonus.items():
        lift = lift + BONUS_UNIT * weight * np.nan_to_num(
            cube.value[cube.profile.measure_number[key], cube.slot(month), members]
        )
    return np.minimum(lift, 1.0)
