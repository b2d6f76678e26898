"""Post, unit, person: a risk's contributions split by whom they are shared with, and what a unit carries together.

The parts come from the model's own contributions alone: base value + post + unit + person = margin. Nothing is fitted.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.names import group_of, parse_name
from features.statistics import FEWEST

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

MEDIAN_VARIANCE = np.pi / 2
"""The variance of a median of n is about so many times that of a mean of n."""
DEVIATIONS = 1.4826
"""Median absolute deviation times this is a standard deviation, for a normal sample."""
TOLD = ("sum", "mean", "rate", "count", "level")
TOLD_MONTHS = 3


@dataclass(frozen=True)
class Split:
    """Log-odds of each person: base value + ``post`` + ``unit`` + ``person`` is the margin."""

    post: Array
    unit: Array
    person: Array


@dataclass(frozen=True)
class Carried:
    """What a unit's people have in common in one group: its push (log-odds), and the number it is told with.

    ``certain`` tells by how many standard errors the push is above the same posts elsewhere; ``value`` is the unit's
    median, ``others`` that of the same posts elsewhere, NaN where unknown.
    """

    group: str
    push: float
    certain: float
    feature: str
    value: float
    others: float


@dataclass(frozen=True)
class UnitShare:
    """A unit against all others: how far its risk is raised, how much of that its people share, and what carries it.

    ``elevated`` and ``shared`` are log-odds less those of everyone else, the posts' parts left out. ``certain`` is how
    many standard errors of a median of so many people the unit's median lies above its posts elsewhere.
    """

    unit: int
    people: int
    elevated: float
    shared: float
    certain: float
    carried: tuple[Carried, ...]


@dataclass(frozen=True)
class Pushed:
    """What is split: contributions [person, name] and told values [person, told name], posts and units of a cohort."""

    names: tuple[str, ...]
    by_feature: Array
    told: tuple[str, ...]
    values: npt.NDArray[np.float32]
    post: Ints
    unit: Ints

    @functools.cached_property
    def told_of(self) -> dict[str, str]:
        """Each group's feature that it is told with; groups that can't be told are left out."""
        found: dict[str, tuple[int, int, str]] = {}
        for name in self.told:
            part = parse_name(name)
            if part.statistic in TOLD:
                place = (TOLD.index(part.statistic), abs((part.months or 99) - TOLD_MONTHS), name)
                found[part.group] = min(found.get(part.group, place), place)
        return {group: place[2] for group, place in found.items()}


def split(names: Sequence[str], by_feature: Array, *, post: Ints, unit: Ints) -> Split:
    """Return the parts of each person of a cohort from the contributions [person, name] of the model's features.

    Features of the post (``post__is__*``) are the post's, those of the unit (``*__unit__*``) the unit's. Of the
    rest, what is usual in the post elsewhere (its median in the other units, less that of all) is the post's; the
    median of what the *other* people of the unit have beyond that is the unit's, shrunk as far as units differ by
    chance (``_kept``). What is left is the person's. A unit of fewer than FEWEST people shares nothing beyond its
    features; of a post with fewer elsewhere the whole post counts, then everyone.
    """
    kinds = np.asarray([_kind(name) for name in names])
    rest = by_feature[:, kinds == "person"].sum(axis=1)
    middle = _elsewhere(rest, post, unit)
    of_post = middle - float(np.median(rest)) if len(rest) else rest
    beyond = rest - middle
    of_unit = _middles_of_others(beyond, unit) * _kept(beyond, unit)
    unit_part = by_feature[:, kinds == "unit"].sum(axis=1) + of_unit
    post_part = by_feature[:, kinds == "post"].sum(axis=1) + of_post
    return Split(post_part, unit_part, rest - of_post - of_unit)


def unit_shares(parts: Split, pushed: Pushed) -> tuple[UnitShare, ...]:
    """Return every unit of FEWEST people or more, beside all others, with the groups that its people share."""
    own, unit = parts.unit + parts.person, pushed.unit
    pushes, spread = _pushes(pushed), _spread(own)
    found = []
    for one in np.unique(unit):
        inside = unit == one
        if inside.sum() < FEWEST or inside.all():
            continue
        carried = tuple(
            Carried(group, push, push / _error(beyond[~inside], int(inside.sum())), *_told(pushed, group, inside))
            for group, beyond in pushes.items()
            if (push := float(np.median(beyond[inside]))) > 0
        )
        found.append(
            UnitShare(
                unit=int(one),
                people=int(inside.sum()),
                elevated=_difference(own, inside),
                shared=_difference(parts.unit, inside),
                certain=float(np.median(own[inside])) / (spread * np.sqrt(MEDIAN_VARIANCE / inside.sum()) or 1.0),
                carried=tuple(sorted(carried, key=lambda each: -each.push)),
            )
        )
    return tuple(found)


def _kind(name: str) -> str:
    part = parse_name(name)
    if part.statistic == "unit":
        return "unit"
    return "post" if part.group == "post" else "person"


def _difference(values: Array, inside: npt.NDArray[np.bool_]) -> float:
    return float(values[inside].mean() - values[~inside].mean())


def _elsewhere(values: Array, post: Ints, unit: Ints) -> Array:
    """Each row's median of the same post in other units; of the whole post, then of all, where there are too few."""
    found = np.full(len(values), float(np.median(values)) if len(values) else 0.0)
    for one in np.unique(post):
        same = post == one
        for here in np.unique(unit[same]):
            others = same & (unit != here)
            enough = next((each for each in (others, same) if each.sum() >= FEWEST), None)
            if enough is not None:
                found[same & (unit == here)] = np.median(values[enough])
    return found


def _middles_of_others(values: Array, group: Ints) -> Array:
    """The median of the others in each row's group; 0 where the group is too small."""
    found = np.zeros(len(values))
    for one in np.unique(group):
        inside = np.flatnonzero(group == one)
        if len(inside) >= FEWEST:
            found[inside] = _without_each(values[inside])
    return found


def _without_each(values: Array) -> Array:
    """The median without the first, without the second ..., of five values or more."""
    order = np.argsort(values, kind="stable")
    ranked, place = values[order], np.empty(len(values), dtype=np.int64)
    place[order] = np.arange(len(values))
    half, odd = divmod(len(values), 2)
    low = np.where(place <= half - 1, half, half - 1)
    high = np.where(place <= half, half + 1, half) if odd else low
    found: Array = (ranked[low] + ranked[high]) / 2
    return found


def _kept(values: Array, group: Ints) -> Array:
    """How much of a group's median is more than chance: between / (between + within / n), by moments.

    The variance between groups is that of their medians less what chance gives a median of n (DerSimonian and
    Laird 1986, in a robust form).
    """
    sizes = np.bincount(group)
    spread = _spread(values)
    large = np.flatnonzero(sizes >= FEWEST)
    if len(large) < 2:
        return np.zeros(len(values))
    medians = np.asarray([np.median(values[group == one]) for one in large])
    chance = MEDIAN_VARIANCE * spread**2 / np.maximum(sizes, 1)
    between = max(0.0, float(np.var(medians, ddof=1) - chance[large].mean()))
    kept: Array = np.where(between > 0, between / (between + chance), 0.0)[group]
    return kept


def _spread(values: Array) -> float:
    """The standard deviation, as the middle half tells it: single heavy persons don't count."""
    return DEVIATIONS * float(np.median(np.abs(values - np.median(values)))) if len(values) else 0.0


def _error(elsewhere: Array, people: int) -> float:
    """The standard error of a median of so many people, from the spread of everyone else."""
    return max(float(np.std(elsewhere)) * float(np.sqrt(MEDIAN_VARIANCE / people)), 1e-12)


def _pushes(pushed: Pushed) -> dict[str, Array]:
    """Each group's contributions beyond what is usual in the post elsewhere; the post's own are no unit's."""
    columns: dict[str, list[int]] = {}
    for number, name in enumerate(pushed.names):
        if _kind(name) != "post":
            columns.setdefault(group_of(name), []).append(number)
    sums = {group: pushed.by_feature[:, chosen].sum(axis=1) for group, chosen in columns.items()}
    return {group: each - _elsewhere(each, pushed.post, pushed.unit) for group, each in sums.items()}


def _told(pushed: Pushed, group: str, inside: npt.NDArray[np.bool_]) -> tuple[str, float, float]:
    """The feature that a group is told with, the unit's median of it, and that of the same posts elsewhere."""
    feature = pushed.told_of.get(group, "")
    if not feature:
        return "", float("nan"), float("nan")
    column = pushed.values[:, pushed.told.index(feature)].astype(np.float64)
    posts, people = np.unique(pushed.post[inside], return_counts=True)
    elsewhere = [_median(column[(pushed.post == one) & ~inside]) for one in posts]
    known = ~np.isnan(elsewhere)
    others = float(np.average(np.asarray(elsewhere)[known], weights=people[known])) if known.any() else float("nan")
    return feature, _median(column[inside]), others


def _median(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")
