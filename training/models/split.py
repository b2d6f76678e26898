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
Rows = npt.NDArray[np.int64]

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
    own, places = parts.unit + parts.person, _rows_of(pushed.unit)
    pushes, spread, told = _pushes(pushed), _spread(own), _Told(pushed)
    groups, beyond = tuple(pushes), np.column_stack([*pushes.values()] or [np.zeros((len(own), 0))])
    rest = _Rest(beyond)
    found = []
    for one, rows in places.items():
        if len(rows) < FEWEST or len(rows) == len(own):
            continue
        middle, error = np.median(beyond[rows], axis=0), rest.error(rows)
        carried = tuple(
            Carried(
                groups[place], float(middle[place]), float(middle[place] / error[place]), *told.of(groups[place], rows)
            )
            for place in np.flatnonzero(middle > 0)
        )
        found.append(
            UnitShare(
                unit=one,
                people=len(rows),
                elevated=_difference(own, rows),
                shared=_difference(parts.unit, rows),
                certain=float(np.median(own[rows])) / (spread * np.sqrt(MEDIAN_VARIANCE / len(rows)) or 1.0),
                carried=tuple(sorted(carried, key=lambda each: -each.push)),
            )
        )
    return tuple(found)


def _kind(name: str) -> str:
    part = parse_name(name)
    if part.statistic == "unit":
        return "unit"
    return "post" if part.group == "post" else "person"


def _difference(values: Array, rows: Rows) -> float:
    inside = np.zeros(len(values), dtype=np.bool_)
    inside[rows] = True
    return float(values[inside].mean() - values[~inside].mean())


def _rows_of(group: Ints) -> dict[int, Rows]:
    """Each group's rows, ascending."""
    order = np.argsort(group, kind="stable")
    numbers, starts = np.unique(group[order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True)) if len(group) else {}


def _elsewhere(values: Array, post: Ints, unit: Ints) -> Array:
    """Each row's median of the same post in other units; of the whole post, then of all, where there are too few."""
    found = np.full(len(values), float(np.median(values)) if len(values) else 0.0)
    for same in _rows_of(post).values():
        ranked = _Ranked(values[same])
        for here in _rows_of(unit[same]).values():
            if len(same) - len(here) >= FEWEST:
                found[same[here]] = ranked.median_without(here)
            elif len(same) >= FEWEST:
                found[same[here]] = ranked.median_without(here[:0])
    return found


class _Ranked:
    """Values ranked once, whose median without some of them is then two look-ups; unknown values count nowhere."""

    def __init__(self, values: Array) -> None:
        order = np.argsort(values, kind="stable")  # unknown ones last
        self._known = int(np.count_nonzero(~np.isnan(values)))
        self._ranked = values[order]
        self._place = np.empty(len(values), dtype=np.int64)
        self._place[order] = np.arange(len(values))

    def median_without(self, rows: Rows) -> float:
        """Return the median of all but some rows; NaN where nothing is left."""
        gone = np.sort(self._place[rows])
        gone = gone[gone < self._known]
        left = self._known - len(gone)
        if not left:
            return float("nan")
        before = gone - np.arange(len(gone))  # so many that stay lie before each that goes
        low, high = (
            place + int(np.searchsorted(before, place, side="right")) for place in ((left - 1) // 2, left // 2)
        )
        return float((self._ranked[low] + self._ranked[high]) / 2)


class _Rest:
    """The standard error of a unit's median, from the spread of everyone else [person, group]."""

    def __init__(self, values: Array) -> None:
        self._values = values - (values.mean(axis=0) if len(values) else 0.0)
        self._sum, self._squares = self._values.sum(axis=0), (self._values**2).sum(axis=0)

    def error(self, rows: Rows) -> Array:
        """Return for each group the standard error of a median of so many people as these rows."""
        mine, left = self._values[rows], len(self._values) - len(rows)
        mean = (self._sum - mine.sum(axis=0)) / left
        variance = np.maximum((self._squares - (mine**2).sum(axis=0)) / left - mean**2, 0.0)
        found: Array = np.maximum(np.sqrt(variance) * np.sqrt(MEDIAN_VARIANCE / len(rows)), 1e-12)
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


def _pushes(pushed: Pushed) -> dict[str, Array]:
    """Each group's contributions beyond what is usual in the post elsewhere; the post's own are no unit's."""
    columns: dict[str, list[int]] = {}
    for number, name in enumerate(pushed.names):
        if _kind(name) != "post":
            columns.setdefault(group_of(name), []).append(number)
    sums = {group: pushed.by_feature[:, chosen].sum(axis=1) for group, chosen in columns.items()}
    return {group: each - _elsewhere(each, pushed.post, pushed.unit) for group, each in sums.items()}


class _Told:
    """What groups are told with: a unit's median of the feature, and that of the same posts elsewhere."""

    def __init__(self, pushed: Pushed) -> None:
        self._pushed, self._posts = pushed, _rows_of(pushed.post)
        self._within = np.empty(len(pushed.post), dtype=np.int64)
        for rows in self._posts.values():
            self._within[rows] = np.arange(len(rows))
        self._columns: dict[str, tuple[Array, dict[int, _Ranked]]] = {}

    def of(self, group: str, rows: Rows) -> tuple[str, float, float]:
        """Return the feature, the median of a unit's rows, and that of their posts elsewhere."""
        feature = self._pushed.told_of.get(group, "")
        if not feature:
            return "", float("nan"), float("nan")
        column, ranked = self._columns.get(feature) or self._ranked(feature)
        posts, people = np.unique(self._pushed.post[rows], return_counts=True)
        here = [rows[self._pushed.post[rows] == one] for one in posts]
        middles = (ranked[one].median_without(self._within[own]) for one, own in zip(posts.tolist(), here, strict=True))
        elsewhere = np.asarray(list(middles))
        known = ~np.isnan(elsewhere)
        others = float(np.average(elsewhere[known], weights=people[known])) if known.any() else float("nan")
        return feature, _median(column[rows]), others

    def _ranked(self, feature: str) -> tuple[Array, dict[int, _Ranked]]:
        column = self._pushed.values[:, self._pushed.told.index(feature)].astype(np.float64)
        found = column, {one: _Ranked(column[rows]) for one, rows in self._posts.items()}
        self._columns[feature] = found
        return found


def _median(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")
